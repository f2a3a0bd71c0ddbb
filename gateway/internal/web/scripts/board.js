// The federation's board follows the stream of its nodes; without it, the page shows how things stood when it was asked for.
const board = document.querySelector("[data-board]");
const said = document.querySelector("[data-board-said]");
const states = Object.fromEntries([...document.querySelectorAll("[data-state]")].map((one) => [one.dataset.state, one.textContent]));
const moment = new Intl.DateTimeFormat("it", { dateStyle: "long", timeStyle: "short", timeZone: "Europe/Rome" });

function show({ name, state, asOfTime, lagRevisions, snapshots, lastError }) {
  const row = [...board.tBodies[0].rows].find((one) => one.dataset.node === name);
  if (!row) { location.reload(); return; }
  const cells = { state: states[state] ?? state, asOf: asOfTime ? moment.format(new Date(asOfTime)) : "", lag: lagRevisions ?? 0, snapshots: snapshots ?? 0, error: lastError ?? "" };
  for (const [cell, text] of Object.entries(cells)) {
    const at = row.querySelector(`[data-cell="${cell}"]`);
    if (at.textContent !== String(text)) at.textContent = text;
  }
}

if (board) {
  const stream = new EventSource(board.dataset.board);
  stream.addEventListener("message", ({ data }) => {
    const news = JSON.parse(data);
    for (const node of (news.result ?? news).nodes ?? []) show(node);
  });
  stream.addEventListener("open", () => { said.textContent = said.dataset.live; });
  stream.addEventListener("error", () => { said.textContent = said.dataset.lost; });
}
