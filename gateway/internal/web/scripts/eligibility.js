// "Serve a me?": a few questions made from the criteria of a service, answered
// in this browser alone. Nothing that is typed here is sent or kept.
import { evaluate, no, unknown, yes } from "./eligibility/evaluate.js";

const box = document.querySelector("[data-fit]");
const data = document.getElementById("domande");
if (box && data) ask(box, JSON.parse(data.textContent));

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (key in made && key !== "list") made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function ask(box, { criteria, words }) {
  const of = (kind) => criteria.filter((criterion) => criterion.kind === kind);
  const fields = [];
  const field = (id, label, input) => fields.push(element("div", { className: "field" }, element("label", { htmlFor: id, textContent: label }), input));
  const number = (id, max) => element("input", { id, type: "number", inputMode: "numeric", min: "0", max: String(max), autocomplete: "off" });
  const select = (id, options) => element("select", { id }, element("option", { value: "", textContent: words.unknown }), ...options.map(([value, text]) => element("option", { value, textContent: text })));

  if (of("age").length || of("isee").some(({ isee }) => isee.minorsExempt)) field("fit-age", words.age, number("fit-age", 130));
  const areas = new Map(of("residence").flatMap(({ residence }) => residence.areas.map(({ code, label }) => [code, label])));
  if (areas.size) field("fit-area", words.residence, select("fit-area", [...areas, ["elsewhere", words.elsewhere]]));
  if (of("residence").some(({ residence }) => residence.months)) field("fit-months", words.months, number("fit-months", 1200));
  const papers = [...new Set(of("papers").flatMap((criterion) => criterion.papers))];
  if (papers.length) {
    const boxes = [...papers.map((paper) => [paper, words[`paper.${paper}`]]), ["none", words.noPapers], ["unknown", words.unknown]];
    fields.push(element("fieldset", { className: "field" }, element("legend", { className: "field-label", textContent: words.papers }), ...boxes.map(([value, text]) =>
      element("div", { className: "choice" }, element("input", { type: "checkbox", id: `fit-paper-${value}`, name: "fit-paper", value }), element("label", { htmlFor: `fit-paper-${value}`, textContent: text })))));
  }
  if (of("papers").some(({ percent }) => percent)) field("fit-percent", words.percent, number("fit-percent", 100));
  if (of("isee").length) field("fit-isee", words.isee, number("fit-isee", 10000000));
  if (of("school").length) field("fit-school", words.school, select("fit-school", [...["preschool", "primary", "lower_secondary", "upper_secondary", "university"].map((kind) => [kind, words[`school.${kind}`]]), ["none", words.noSchool]]));
  for (const { id, enrolment } of of("enrolment")) field(`fit-enrolment-${id}`, `${words.enrolment} ${enrolment}`, select(`fit-enrolment-${id}`, [[yes, words.yes], [no, words.no]]));

  const result = element("div", { className: "fit-result", role: "status" });
  const form = element("form", { noValidate: true }, ...fields, element("p", { className: "hint", textContent: words.private }), element("button", { type: "submit", className: "btn btn-primary", textContent: words.start }), result);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = [...form.querySelectorAll("input[type=number]")].find((input) => !input.checkValidity());
    if (wrong) {
      result.replaceChildren(element("p", { className: "problem", textContent: words.number }));
      wrong.setAttribute("aria-invalid", "true");
      wrong.focus();
      return;
    }
    form.querySelectorAll("[aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
    show(result, criteria, words, evaluate(criteria, answers(form)));
  });
  box.append(form);
  box.hidden = false;
}

function answers(form) {
  const value = (id) => form.querySelector(`#fit-${id}`)?.value || undefined;
  const numeric = (id) => (value(id) === undefined ? undefined : Number(value(id)));
  const ticked = [...form.querySelectorAll("[name=fit-paper]:checked")].map((input) => input.value);
  const held = ticked.filter((paper) => paper !== "none" && paper !== "unknown");
  const papers = ticked.length === 0 ? undefined : held;
  const papersOpen = ticked.includes("unknown");
  const enrolments = {};
  for (const select of form.querySelectorAll("[id^=fit-enrolment-]")) if (select.value) enrolments[select.id.slice("fit-enrolment-".length)] = select.value;
  return { age: numeric("age"), area: value("area"), months: numeric("months"), papers, papersOpen, percent: numeric("percent"), isee: numeric("isee"), school: value("school"), enrolments };
}

function show(into, criteria, words, { result, held }) {
  const said = { [yes]: words.holds, [no]: words.fails, [unknown]: words.open };
  const list = element("ul", {}, ...criteria.map((criterion) => {
    const item = element("li", {}, element("span", { lang: criterion.language, textContent: criterion.statement }), element("strong", { textContent: ` ${said[held.get(criterion.id)]}` }));
    if (criterion.effect === "to_be_assessed") item.append(` ${words.assessed}`);
    if (criterion.effect === "priority") item.append(` ${words.priority}`);
    if (criterion.rule) {
      const source = criterion.rule.uri ? element("a", { href: criterion.rule.uri, lang: "it", textContent: criterion.rule.label }) : element("span", { lang: "it", textContent: criterion.rule.label });
      item.append(element("br"), element("span", { className: "quiet" }, `${words.rule} `, source, criterion.rule.version ? ` (${criterion.rule.version})` : ""));
    }
    return item;
  }));
  const kind = { fits: "alert-success", maybe: "alert-warning", unlikely: "alert-warning" }[result];
  into.replaceChildren(element("div", { className: `alert ${kind}`, tabIndex: -1, "data-result": result },
    element("h4", { textContent: words[result] }), element("p", { textContent: words[`${result}Text`] }), list, element("p", { textContent: words.askAnyway })));
}
