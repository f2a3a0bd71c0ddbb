// Buttons that copy what stands elsewhere on the page: a private code.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // the text can be selected
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      document.querySelector("[data-copied]").textContent = button.dataset.done;
    } catch { /* not allowed: the text can be selected */ }
  });
}
