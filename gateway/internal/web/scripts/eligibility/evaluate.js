// Decides whether a service fits, from typed criteria and from what a person
// answered. What is not known never means no: it leads to an assessment.

export const yes = "yes", no = "no", unknown = "unknown";

// holds tells whether the condition of one criterion holds.
export function holds(criterion, answers) {
  switch (criterion.kind) {
    case "age": return age(criterion.age, answers.age);
    case "residence": return residence(criterion.residence, answers);
    case "papers": return papers(criterion, answers);
    case "isee": return isee(criterion.isee, answers);
    case "school":
      if (!answers.school) return unknown;
      return criterion.schools.includes(answers.school) ? yes : no;
    case "enrolment": return answers.enrolments?.[criterion.id] ?? unknown;
    default: return unknown;
  }
}

function age(range, years) {
  if (years === undefined) return unknown;
  return years >= (range.minimum ?? 0) && years <= (range.maximum ?? Infinity) ? yes : no;
}

function residence(wanted, { area, months }) {
  if (!area) return unknown;
  if (!wanted.areas.some(({ code }) => code === area)) return no;
  if (!wanted.months) return yes;
  if (months === undefined) return unknown;
  return months >= wanted.months ? yes : no;
}

// Papers that are not ticked are not there, unless the person is not sure.
function papers(criterion, answers) {
  if (answers.papers === undefined) return unknown;
  const found = certified(criterion, answers);
  return found === no && answers.papersOpen ? unknown : found;
}

function certified({ papers: wanted, percent }, { papers: held, percent: heldPercent }) {
  const byPercent = "civil_invalidity_percent";
  if (wanted.some((paper) => paper !== byPercent && held.includes(paper))) return yes;
  if (!wanted.includes(byPercent)) return no;
  // A certificate of 75 or 100 percent says a percentage too.
  const implied = held.includes("civil_invalidity_100") || held.includes("civil_invalidity_100_attendance") ? 100 : held.includes("civil_invalidity_75") ? 75 : 0;
  if (implied >= percent) return yes;
  if (heldPercent !== undefined) return Math.max(heldPercent, implied) >= percent ? yes : no;
  return held.includes(byPercent) || implied > 0 ? unknown : no;
}

function isee({ cents, minorsExempt }, { isee: own, age: years }) {
  if (minorsExempt && years !== undefined && years < 18) return yes;
  if (own === undefined) return unknown;
  if (own * 100 <= cents) return yes;
  return minorsExempt && years === undefined ? unknown : no;
}

// outcome tells what one criterion means for the whole: "fits", "fails" or
// "assess"; "aside" when it decides nothing.
function outcome({ effect }, held) {
  switch (effect) {
    case "priority": return "aside";
    case "to_be_assessed": return held === yes ? "fits" : "assess";
    case "exclusion": return { yes: "fails", no: "fits", unknown: "assess" }[held];
    default: return { yes: "fits", no: "fails", unknown: "assess" }[held];
  }
}

// evaluate tells the result, "fits", "maybe" or "unlikely", and for each
// criterion whether it holds. Criteria of one group are alternatives.
export function evaluate(criteria, answers) {
  const held = new Map(criteria.map((criterion) => [criterion.id, holds(criterion, answers)]));
  const groups = new Map();
  for (const criterion of criteria) {
    const key = criterion.group ? `group ${criterion.group}` : `alone ${criterion.id}`;
    groups.set(key, [...(groups.get(key) ?? []), criterion]);
  }
  const outcomes = [...groups.values()].map((alternatives) => {
    if (alternatives.length === 1) return outcome(alternatives[0], held.get(alternatives[0].id));
    const values = alternatives.map((criterion) => [criterion, held.get(criterion.id)]);
    // Of alternatives one is enough; one that an office assesses leads to the assessment.
    if (values.some(([{ effect }, value]) => effect !== "to_be_assessed" && value === yes)) return "fits";
    if (values.some(([, value]) => value !== no)) return "assess";
    return "fails";
  });
  const result = outcomes.includes("fails") ? "unlikely" : outcomes.includes("assess") ? "maybe" : "fits";
  return { result, held };
}
