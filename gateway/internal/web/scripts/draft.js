// A request that somebody writes is kept in this browser alone, until it was
// sent, erased, or a week is over.
const key = "cid-draft";
const week = 7 * 24 * 60 * 60 * 1000;
const forget = () => { try { localStorage.removeItem(key); } catch { /* forbidden: nothing is kept */ } };
const keep = (draft) => { try { localStorage.setItem(key, JSON.stringify(draft)); return true; } catch { return false; } };

function kept() {
  try {
    const draft = JSON.parse(localStorage.getItem(key));
    if (Array.isArray(draft?.fields) && Date.now() - draft.at < week) return draft;
  } catch { /* forbidden or damaged */ }
  forget();
  return undefined;
}

if (document.querySelector("[data-draft-done]")) forget();
const form = document.querySelector("form[data-draft]");
if (form) write(form);

function write(form) {
  const found = document.querySelector("[data-draft-found]");
  const note = document.querySelector("[data-draft-note]");
  const first = form.querySelector("[name=richiesta]").value;
  let dropped = false;

  // Everything but files, and the field that stays empty.
  const fields = () => [...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "sito" && name !== "cerca" && name !== "vai");
  const save = () => {
    if (dropped || !keep({ at: Date.now(), step: form.dataset.draft, fields: fields() })) return;
    if (note) note.hidden = false;
    if (found) found.hidden = true;
  };

  const old = kept();
  const another = old && old.fields.find(([name]) => name === "richiesta")?.[1] !== first;
  if (another && found) found.hidden = false; // a form that begins does not overwrite what was begun before
  else if (old) save();
  form.addEventListener("input", save);
  form.addEventListener("change", save);
  form.addEventListener("submit", save);

  document.querySelector("[data-draft-resume]")?.addEventListener("click", () => {
    const again = document.createElement("form");
    again.method = "post";
    again.action = form.action;
    for (const [name, value] of [...old.fields, ["vai", old.step]]) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = value;
      again.append(field);
    }
    document.body.append(again);
    again.submit();
  });
  for (const button of document.querySelectorAll("[data-draft-drop]")) {
    button.addEventListener("click", () => {
      forget();
      dropped = button.closest("[data-draft-note]") !== null;
      const box = button.closest(".callout-note");
      box.querySelector("[data-draft-said]").textContent = button.dataset.done;
      for (const other of box.querySelectorAll("button")) other.hidden = true;
    });
  }
}
