// The form of a draft: kept while somebody types, what is missing said at once, how easy the texts are, rows without a new page.
// Without scripts the form's buttons do the same.
import { index, wordsOf } from "./gulpease/gulpease.js";

// How long after the last key the draft is kept, and how long a button waits for that, in milliseconds.
const after = 2500, patience = 4000;
const form = document.querySelector("form[data-save]");
if (form) edit(form);

function measure(scope) {
  for (const area of scope.querySelectorAll("[data-gulpease]")) {
    const said = document.querySelector(`[data-index-of="${area.id}"]`);
    const show = () => {
      said.hidden = wordsOf(area.value) < 10;
      const value = Math.round(index(area.value));
      said.textContent = `Leggibilità (Gulpease): ${value} su 100${value < 60 ? ". Prova con frasi più corte e parole di tutti i giorni." : ""}`;
    };
    area.addEventListener("input", show);
    show();
  }
}

function edit(form) {
  const key = `cid-bozza:${form.getAttribute("action")}`;
  const status = document.querySelector("[data-saved]");
  const list = document.querySelector("[data-missing]");
  const copy = document.querySelector("[data-copy]");
  const etag = () => form.querySelector("[name=_etag]");
  const fields = () => [...new FormData(form)].filter(([, value]) => typeof value === "string");
  const store = (value) => { try { if (value) sessionStorage.setItem(key, JSON.stringify(value)); else sessionStorage.removeItem(key); } catch { /* forbidden or full */ } };
  const stored = () => { try { return JSON.parse(sessionStorage.getItem(key)); } catch { return null; } };
  let timer, running = null, ending, changes = 0;

  const say = (text) => { if (status) status.textContent = text; };
  const missing = (items) => {
    list.replaceChildren(...items.map((item) => {
      const entry = document.createElement("li");
      const link = document.createElement("a");
      link.href = `#${item.id}`;
      link.textContent = item.label;
      entry.append(link, `: ${item.text}`);
      return entry;
    }));
    if (items.length === 0) {
      const entry = document.createElement("li");
      entry.textContent = list.dataset.none;
      list.append(entry);
    }
  };

  function save() {
    if (running) timer = setTimeout(save, after);
    else running = send().finally(() => { running = null; });
  }
  async function send() {
    const seen = changes;
    ending = new AbortController();
    try {
      const answer = await fetch(form.dataset.save, { method: "POST", body: new URLSearchParams(fields()), signal: AbortSignal.any([ending.signal, AbortSignal.timeout(15000)]) });
      if (!answer.ok || !answer.headers.get("Content-Type")?.startsWith("application/json")) throw new Error(String(answer.status));
      const said = await answer.json();
      etag().value = said.etag;
      if (seen === changes) store(null);
      missing(said.missing);
      say(said.saved);
    } catch {
      say(status.dataset.failed); // the copy of this browser stays
    }
  }
  const changed = () => {
    changes++;
    store(fields());
    clearTimeout(timer);
    timer = setTimeout(save, after);
  };

  const kept = stored();
  if (kept && copy && JSON.stringify(kept.filter(([name]) => name !== "_etag")) !== JSON.stringify(fields().filter(([name]) => name !== "_etag"))) {
    copy.hidden = false;
    copy.querySelector("[data-resume]").addEventListener("click", () => {
      const again = document.createElement("form");
      again.method = "post";
      again.action = form.action;
      for (const [name, value] of [...kept.filter(([name]) => name !== "_etag"), ["_etag", etag().value], ["_fai", "salva"]]) {
        const field = document.createElement("textarea"); // keeps line breaks
        field.name = name;
        field.value = value;
        again.append(field);
      }
      again.hidden = true;
      document.body.append(again);
      again.submit();
    });
    copy.querySelector("[data-forget]").addEventListener("click", () => { store(null); copy.hidden = true; });
  }

  // Rows and searches come back as the page that they lead to; only the form of it is put in place.
  const rows = async (event) => {
    const button = event.target.closest("button[data-row]");
    if (!button) return;
    event.preventDefault();
    const sent = new URLSearchParams([...fields(), [button.name, button.value]]);
    try {
      const answer = await fetch(form.action, { method: "POST", body: sent, headers: { Accept: "text/html" }, signal: AbortSignal.timeout(15000) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("form[data-save]");
      if (!answer.ok || !fresh) throw new Error(String(answer.status));
      const opened = [...form.querySelectorAll("details[open][id]")].map((one) => one.id);
      const file = form.querySelector("input[type=file]");
      form.replaceChildren(...fresh.childNodes);
      form.querySelector("input[type=file]")?.replaceWith(file); // with the file that is chosen
      for (const id of opened) { const one = document.getElementById(id); if (one) one.open = true; }
      for (const one of page.querySelectorAll("datalist")) if (!document.getElementById(one.id)) document.body.append(one);
      measure(form);
      const again = [...form.querySelectorAll("button[data-row]")].find((one) => one.value === button.value);
      (form.querySelector(".found button") ?? again ?? form.querySelector("button[data-row]"))?.focus();
      changed();
    } catch {
      form.removeEventListener("click", rows); // as without scripts
      button.click();
    }
  };

  form.addEventListener("input", changed);
  form.addEventListener("click", rows);
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    if (!running) return;
    event.preventDefault(); // what is being kept changes the draft first, or the two would clash
    const pressed = event.submitter;
    const given = ending;
    setTimeout(() => given.abort(), patience);
    running.finally(() => setTimeout(() => form.requestSubmit(pressed)));
  });
  measure(form);
}
