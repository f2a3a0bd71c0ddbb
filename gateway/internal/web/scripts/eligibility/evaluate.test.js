import assert from "node:assert/strict";
import test from "node:test";
import { evaluate } from "./evaluate.js";

// The ASACOM of Marsala: art. 3 c. 3, or art. 3 c. 1 with the need in the PEI,
// or a certificate that the office assesses (Tribunale di Marsala, 2025).
const asacom = [
  { id: 0, effect: "required_condition", group: 1, kind: "papers", papers: ["law_104_art3_c3"] },
  { id: 1, effect: "required_condition", group: 1, kind: "papers", papers: ["law_104_art3_c1"] },
  { id: 2, effect: "to_be_assessed", group: 1, kind: "papers", papers: ["child_neuropsychiatry"] },
  { id: 3, effect: "to_be_assessed", kind: "papers", papers: ["in_pei"] },
  { id: 4, effect: "required_condition", kind: "school", schools: ["preschool", "primary", "lower_secondary"] },
];

for (const [name, answers, want] of [
  ["comma 3 and the PEI", { papers: ["law_104_art3_c3", "in_pei"], school: "primary" }, "fits"],
  ["comma 1 and the PEI", { papers: ["law_104_art3_c1", "in_pei"], school: "primary" }, "fits"],
  ["comma 1 without the PEI is never refused", { papers: ["law_104_art3_c1"], school: "primary" }, "maybe"],
  ["the certificate of the ASP is assessed", { papers: ["child_neuropsychiatry"], school: "primary" }, "maybe"],
  ["nothing known", {}, "maybe"],
  ["papers not known", { school: "primary" }, "maybe"],
  ["one paper, not sure about others", { papers: ["law_104_art3_c1"], papersOpen: true, school: "primary" }, "maybe"],
  ["no paper for sure", { papers: [], papersOpen: true, school: "primary" }, "maybe"],
  ["none of the papers", { papers: [], school: "primary" }, "unlikely"],
  ["another school", { papers: ["law_104_art3_c3", "in_pei"], school: "upper_secondary" }, "unlikely"],
]) {
  test(`ASACOM: ${name}`, () => assert.equal(evaluate(asacom, answers).result, want));
}

for (const [name, criterion, answers, want] of [
  ["age at the lower end", { kind: "age", age: { minimum: 18, maximum: 65 } }, { age: 18 }, "fits"],
  ["age at the upper end", { kind: "age", age: { minimum: 18, maximum: 65 } }, { age: 65 }, "fits"],
  ["too old", { kind: "age", age: { minimum: 18, maximum: 65 } }, { age: 66 }, "unlikely"],
  ["age without an upper end", { kind: "age", age: { minimum: 65 } }, { age: 101 }, "fits"],
  ["a newborn child", { kind: "age", age: { maximum: 17 } }, { age: 0 }, "fits"],
  ["lives there", { kind: "residence", residence: { areas: [{ code: "a" }] } }, { area: "a" }, "fits"],
  ["lives elsewhere", { kind: "residence", residence: { areas: [{ code: "a" }] } }, { area: "elsewhere" }, "unlikely"],
  ["lives there, for how long is not known", { kind: "residence", residence: { areas: [{ code: "a" }], months: 12 } }, { area: "a" }, "maybe"],
  ["lives there for long enough", { kind: "residence", residence: { areas: [{ code: "a" }], months: 12 } }, { area: "a", months: 12 }, "fits"],
  ["ISEE at the threshold", { kind: "isee", isee: { cents: 700000 } }, { isee: 7000 }, "fits"],
  ["ISEE above it", { kind: "isee", isee: { cents: 700000 } }, { isee: 7000.01 }, "unlikely"],
  ["a minor is exempt", { kind: "isee", isee: { cents: 700000, minorsExempt: true } }, { isee: 9000, age: 17 }, "fits"],
  ["perhaps a minor", { kind: "isee", isee: { cents: 700000, minorsExempt: true } }, { isee: 9000 }, "maybe"],
  ["an enrolment", { kind: "enrolment" }, { enrolments: { 0: "yes" } }, "fits"],
  ["a percentage that is enough", { kind: "papers", papers: ["civil_invalidity_percent"], percent: 67 }, { papers: ["civil_invalidity_percent"], percent: 67 }, "fits"],
  ["a percentage that is not", { kind: "papers", papers: ["civil_invalidity_percent"], percent: 67 }, { papers: ["civil_invalidity_percent"], percent: 66 }, "unlikely"],
  ["a percentage that is not said", { kind: "papers", papers: ["civil_invalidity_percent"], percent: 67 }, { papers: ["civil_invalidity_percent"] }, "maybe"],
  ["75 percent are more than 67", { kind: "papers", papers: ["civil_invalidity_percent"], percent: 67 }, { papers: ["civil_invalidity_75"] }, "fits"],
  ["only in words", {}, {}, "maybe"],
  ["a priority decides nothing", { effect: "priority", kind: "age", age: { minimum: 65 } }, { age: 20 }, "fits"],
  ["an exclusion that holds", { effect: "exclusion", kind: "enrolment" }, { enrolments: { 0: "yes" } }, "unlikely"],
  ["an exclusion that does not", { effect: "exclusion", kind: "enrolment" }, { enrolments: { 0: "no" } }, "fits"],
  ["an exclusion that is not known", { effect: "exclusion", kind: "enrolment" }, {}, "maybe"],
  ["what an office assesses is never a no", { effect: "to_be_assessed", kind: "enrolment" }, { enrolments: { 0: "no" } }, "maybe"],
]) {
  test(name, () => assert.equal(evaluate([{ id: 0, effect: "required_condition", ...criterion }], answers).result, want));
}

test("missing data never means no", () => {
  const kinds = [...asacom, { id: 5, effect: "required_condition", kind: "age", age: { minimum: 3 } }, { id: 6, effect: "exclusion", kind: "enrolment" }];
  assert.equal(evaluate(kinds, {}).result, "maybe");
  for (const criterion of kinds) assert.notEqual(evaluate([{ ...criterion, group: 0 }], {}).result, "unlikely");
});
