// "La mia lista": what a person chose, kept in this browser alone.
const key = "cid-list";
const read = () => { try { return JSON.parse(localStorage.getItem(key)) ?? []; } catch { return []; } };
const write = (entries) => { try { localStorage.setItem(key, JSON.stringify(entries)); } catch { /* full or forbidden: the address keeps the list */ } };
const toggle = (entry, keep) => write(keep ? [...new Set([...read(), entry])] : read().filter((one) => one !== entry));
const address = () => `?${new URLSearchParams(read().map((entry) => ["s", entry]))}`;

// Ticks among results.
for (const box of document.querySelectorAll("[data-listed]")) {
  box.checked = read().includes(box.dataset.listed);
  box.addEventListener("change", () => toggle(box.dataset.listed, box.checked));
}
// Entries chosen on other pages belong to the list too.
document.getElementById("lista")?.addEventListener("submit", (event) => {
  event.preventDefault();
  location.assign(event.target.action + address());
});

// The button of a card.
for (const link of document.querySelectorAll("[data-keep]")) {
  const entry = link.dataset.keep;
  const show = () => { link.textContent = read().includes(entry) ? link.dataset.keptText : link.dataset.keepText; };
  link.addEventListener("click", (event) => {
    if (read().includes(entry)) { event.preventDefault(); location.assign(link.pathname + address()); return; }
    event.preventDefault();
    toggle(entry, true);
    show();
  });
  show();
}

// The list itself: an address without entries shows what the browser keeps.
if (document.querySelector("[data-empty]") && read().length) location.replace(address());
for (const link of document.querySelectorAll("[data-drop]")) link.addEventListener("click", () => toggle(link.dataset.drop, false));
for (const card of document.querySelectorAll("[data-listed-card]")) toggle(card.dataset.listedCard, true);
for (const button of document.querySelectorAll("[data-share]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      if (navigator.share) await navigator.share({ url: button.dataset.share });
      else {
        await navigator.clipboard.writeText(button.dataset.share);
        document.querySelector("[data-shared]").textContent = button.dataset.done;
      }
    } catch { /* the person thought better of it */ }
  });
}
