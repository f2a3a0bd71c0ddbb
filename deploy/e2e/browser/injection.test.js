// Markup in every text of every kind of record is text wherever the portal shows it. Records are made of the API's own description:
// all fields that take free text have the markup.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, look, rest, soon } from "./portal.js";

const held = browser();
const word = "iniezione";
const markup = `${word} <script>window.injected=1</script> "><img src=x onerror="window.injected=1"> {{.}} </title></textarea>`;
// The longest that a field takes.
const markups = [markup, "<script>window.injected=1</script>", "<img onerror=1>"];
const id = `prova-${Date.now().toString(36)}`;
const kinds = [
  { kind: "organizations", schema: "Organization", query: "organizationId", page: (c) => `/enti/${c}/${id}` },
  { kind: "locations", schema: "Location", query: "locationId", page: (c) => `/luoghi/${c}/${id}` },
  { kind: "operators", schema: "Operator", query: "operatorId", page: (c) => `/operatori/${c}/${id}` },
  { kind: "documents", schema: "Document", query: "documentId", page: (c) => `/documenti/${c}/${id}` },
  { kind: "services", schema: "Service", query: "serviceId", page: (c) => `/servizi/${c}/${id}` },
  { kind: "practices", schema: "Practice", query: "practiceId", page: (c) => `/buone-pratiche/${c}/${id}` },
  { kind: "events", schema: "Event", query: "eventId", page: (c) => `/agenda/${c}/${id}` },
  { kind: "plans", schema: "Plan", query: "planId", page: (c) => `/programmazione/${c}/${id}` },
];
const comune = "marsala";
const made = [];

// fill makes a value of a schema that has the markup wherever free text is taken.
function fill(schemas, schema, depth = 0) {
  if (schema.$ref) return fill(schemas, schemas[schema.$ref.split("/").at(-1)], depth);
  if (schema.allOf) return fill(schemas, schema.allOf[0], depth);
  if (schema.readOnly || depth > 6) return undefined;
  if (schema.enum) return schema.enum.find((value) => !`${value}`.endsWith("_UNSPECIFIED"));
  if (schema.type === "string" && schema.pattern?.startsWith("^[")) return new RegExp(schema.pattern).test("prova") ? "prova" : undefined;
  if (schema.type === "string") return schema.format || schema.pattern ? undefined : markups.find((text) => text.length <= schema.maxLength);
  if (schema.type === "array") {
    const one = fill(schemas, schema.items, depth + 1);
    return one === undefined ? undefined : [one];
  }
  if (schema.type !== "object") return undefined;
  const entries = Object.entries(schema.properties ?? {}).filter(([, field]) => !field.readOnly).map(([name, field]) => [name, fill(schemas, field, depth + 1)]).filter(([, value]) => value !== undefined);
  return entries.length ? Object.fromEntries(entries) : undefined;
}

// drop takes out what a refusal names, or what it is missing in: title.it, access[0].note.
function drop(record, path) {
  const steps = path.match(/[^.[\]]+/g);
  for (let last = steps.length - 1; last >= 0; last--) {
    const holder = steps.slice(0, last).reduce((value, step) => value?.[step], record);
    if (holder && Object.hasOwn(holder, steps[last])) {
      if (Array.isArray(holder)) holder.splice(Number(steps[last]), 1); else delete holder[steps[last]];
      return;
    }
  }
}

const texts = (value) => (markups.includes(value) ? 1 : value && typeof value === "object" ? Object.values(value).reduce((sum, one) => sum + texts(one), 0) : 0);

before(async () => {
  const { body } = await rest("GET", "/openapi.json");
  const { schemas } = body.components;
  for (const { kind, schema, query } of kinds) {
    const record = { ...fill(schemas, schemas[schema]), name: undefined };
    if (kind === "services") record.status = { ...record.status, state: "ACTIVE" };
    if (kind === "events") record.startDate = { year: new Date().getFullYear() + 1, month: 5, day: 3 };
    if (kind === "plans") Object.assign(record, { firstYear: 2026, lastYear: 2028 });
    // What the registry does not take for another reason than its text goes; the rest stays.
    for (let attempt = 0; ; attempt++) {
      const answer = await rest("POST", `/v1/comuni/${comune}/${kind}?${query}=${id}`, { body: record, as: comune });
      if (answer.status < 300) break;
      const errors = answer.body.errors ?? [];
      assert.ok(attempt < 40 && answer.status === 400 && errors.length > 0, `${kind}: ${JSON.stringify(answer.body)}`);
      for (const { field } of errors) drop(record, field);
    }
    made.push({ kind, count: texts(record) });
    assert.ok(texts(record) >= 3, `only ${texts(record)} texts of ${kind} have the markup: ${JSON.stringify(record)}`);
  }
  console.log(`markup: ${made.map(({ kind, count }) => `${count} texts of ${kind}`).join(", ")}`);
  await soon(async () => {
    const answer = await rest("GET", `/v1/search?q=${word}`);
    assert.ok(answer.body.totalSize >= kinds.length, `${answer.body.totalSize} found`);
  });
});

after(async () => {
  for (const { kind } of [...made].reverse()) {
    const name = `/v1/comuni/${comune}/${kind}/${id}`;
    const { body } = await rest("GET", name, { as: comune });
    await rest("DELETE", `${name}?etag=${encodeURIComponent(body.etag)}`, { as: comune });
  }
});

// harmless asserts that markup of records is text on a page.
async function harmless(page, what, { shown = true } = {}) {
  const found = await page.evaluate(() => ({
    ran: window.injected,
    elements: [...document.querySelectorAll("*")].filter((element) => element.hasAttribute("onerror") || (element.tagName === "SCRIPT" && element.textContent.includes("window.injected") && element.type !== "application/ld+json" && element.type !== "application/json")).map((element) => element.outerHTML.slice(0, 200)),
    json: [...document.querySelectorAll('script[type="application/ld+json"],script[type="application/json"]')].map((element) => element.textContent),
    text: document.body.textContent,
    broken: document.querySelectorAll("main").length !== 1 || !document.querySelector("footer#piede"),
  }));
  assert.equal(found.ran, undefined, `a script ran on ${what}`);
  assert.deepEqual(found.elements, [], `markup became elements on ${what}`);
  assert.equal(found.broken, false, `markup broke ${what}`);
  for (const text of found.json) JSON.parse(text);
  if (shown) assert.ok(found.text.includes(`${word} <script>window.injected=1</script> "><img src=x`), `the text is not shown as text on ${what}`);
}

test("markup is text on pages of records, in lists, in print", async (t) => {
  for (const language of ["it", "ar"]) {
    const prefix = language === "it" ? "" : `/${language}`;
    const page = await look(held, { language });
    for (const { kind, page: path } of kinds) {
      await t.test(`${kind}, ${language}`, async () => {
        const answer = await page.goto(prefix + path(comune));
        assert.equal(answer.status(), 200);
        await harmless(page, `${kind} (${language})`);
        await page.emulateMedia({ media: "print" });
        await harmless(page, `${kind} in print (${language})`);
        await page.emulateMedia({ media: "screen" });
      });
    }
    const lists = {
      services: `/servizi/?q=${word}`, people: `/chi-opera/?q=${word}`, documents: `/documenti/?q=${word}`, practices: `/buone-pratiche/?q=${word}`,
      plans: `/programmazione/?q=${word}`, events: `/agenda/?q=${word}`, list: `/la-mia-lista/?s=${comune}%2F${id}`,
    };
    for (const [name, path] of Object.entries(lists)) {
      await t.test(`${name}, ${language}`, async () => {
        const answer = await page.goto(prefix + path);
        assert.equal(answer.status(), 200);
        await harmless(page, `the list ${name} (${language})`);
      });
    }
    // What is typed into addresses is shown too.
    for (const path of [`/servizi/?q=${encodeURIComponent(markup)}`, `/chi-opera/?q=${encodeURIComponent(markup)}`, `/la-mia-lista/?s=${encodeURIComponent(markup)}`, `/${encodeURIComponent(markup)}`]) {
      await page.goto(prefix + path);
      await harmless(page, path, { shown: false });
    }
    // Suggestions are made by a script.
    await page.goto(`${prefix}/`);
    await page.locator("#q").pressSequentially(word);
    await page.locator("[role=option]").first().waitFor({ timeout: 3000 }).catch(() => {}); // there may be none
    await harmless(page, "home with suggestions", { shown: false });
    page.calm();
    await page.context().close();
  }
});

test("the questions of «serve a me?» show markup as text", async () => {
  const page = await look(held);
  await page.goto(`/servizi/${comune}/${id}`);
  const form = page.locator("[data-fit] form");
  if (await form.count()) {
    await form.locator("button[type=submit]").click();
    await harmless(page, "the answer of «serve a me?»");
  }
  page.calm();
  await page.context().close();
});

test("markup is text in feeds", async () => {
  const page = await look(held);
  await page.goto("/");
  for (const path of ["/documenti/novita.atom", "/buone-pratiche/novita.atom", "/agenda/novita.atom"]) {
    const answer = await page.request.get(path);
    assert.equal(answer.status(), 200, path);
    assert.match(answer.headers()["content-type"], /^application\/atom\+xml/);
    const feed = await page.evaluate((text) => {
      const parsed = new DOMParser().parseFromString(text, "application/xml");
      return {
        error: parsed.querySelector("parsererror")?.textContent,
        markup: [...parsed.querySelectorAll("script,img")].map((element) => element.outerHTML),
        texts: [...parsed.querySelectorAll("entry > *")].map((element) => [element.getAttribute("type"), element.textContent]),
      };
    }, await answer.text());
    assert.equal(feed.error, undefined, path);
    assert.deepEqual(feed.markup, [], path);
    assert.ok(feed.texts.some(([, text]) => text.includes("<script>window.injected=1")), `${path} has the text`);
    // A reader runs what is said to be HTML.
    for (const [type, text] of feed.texts) if (type === "html") assert.ok(!/<(script|img)/i.test(text), `${path}: ${text}`);
  }
  const calendar = await (await page.request.get("/agenda/agenda.ics")).text();
  assert.match(calendar, /^BEGIN:VCALENDAR\r\n/);
  // A line is 75 bytes at most, and begins with a name or goes on with a blank (RFC 5545, 3.1).
  for (const line of calendar.split("\r\n").slice(0, -1)) assert.ok(Buffer.byteLength(line) <= 75 && /^([A-Z-]+[:;]| )/.test(line), line);
  assert.ok(calendar.replace(/\r\n /g, "").includes(`${word} <script>`), "the calendar has the event");
  page.calm();
  await page.context().close();
});
