// How far an import is, as it goes on; without scripts the page is asked for again now and then.
const box = document.querySelector("[data-import]");
const bar = document.querySelector("[data-import-bar]");
const said = document.querySelector("[data-import-said]");
for (const note of document.querySelectorAll(".no-script")) note.hidden = true;

async function look() {
  try {
    const answer = await fetch(box.dataset.import, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (answer.status === 401 || answer.status === 403 || answer.status === 404) { location.reload(); return; }
    if (answer.ok) {
      const { state, linesDone = 0, linesTotal = 0 } = await answer.json();
      if (state !== "RUNNING") { location.reload(); return; }
      if (Number(linesTotal) > 0) bar.value = Math.min(100, Math.round((100 * linesDone) / linesTotal));
      said.textContent = said.textContent.replace(/\d+(\D+)\d+/, (_, between) => linesDone + between + linesTotal);
    }
  } catch { /* the node is away, or slow: ask again */ }
  setTimeout(look, 1500);
}
if (box && bar) setTimeout(look, 1000);
