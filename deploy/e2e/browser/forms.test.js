// Forms that are refused: what is wrong is read first, stands beside its field, and nothing that was typed is lost. A draft is found
// again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { go } from "./asking.js";
import { accessible, fits, ordered, tabbed } from "./checks.js";
import { browser, inLanguage, look } from "./portal.js";

const held = browser();
const next = (page) => go(page, () => page.locator("form[data-draft] .actions .btn-primary").click());
const choose = async (page, name, value) => { await page.locator(`input[name="${name}"][value="${value}"]`).check(); await next(page); };

// refused asserts what holds of every form that was refused.
async function refused(page, answer, { language, what, fields }) {
  assert.equal(answer.status(), 400, what);
  await ordered(page, { language, what });
  const summary = page.locator("#problemi");
  assert.ok(await summary.evaluate((element) => element === document.activeElement), `the summary has the focus on ${what}`);
  assert.equal(await summary.getAttribute("role"), "alert");
  assert.match(await page.title(), /./);
  for (const field of fields) {
    const link = summary.locator(`a[href="#${field}"]`);
    assert.equal(await link.count(), 1, `the summary leads to ${field} on ${what}`);
    const said = await page.evaluate((id) => {
      const element = document.getElementById(id);
      const described = (one) => (one?.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean).map((name) => document.getElementById(name)?.textContent.trim());
      return { own: described(element), group: described(element.closest("fieldset")), invalid: element.getAttribute("aria-invalid"), type: element.type };
    }, field);
    const message = (await link.textContent()).trim();
    assert.ok([...said.own, ...said.group].some((text) => text?.includes(message)), `«${message}» stands beside ${field} on ${what}: ${JSON.stringify(said)}`);
    if (said.type !== "radio") assert.equal(said.invalid, "true", `${field} on ${what}`);
    await link.click();
    assert.equal(await page.evaluate(() => document.activeElement.id), field, `the link of the summary goes to ${field} on ${what}`);
  }
  await accessible(page, what);
  await fits(page, what);
}

for (const language of ["it", "ar"]) {
  test(`a request with mistakes (${language})`, async () => {
    const page = await look(held, { width: 360, language, reducedMotion: "reduce" });
    const about = (what) => ({ language, what: `${what} (${language})` });
    await page.goto(inLanguage(language, "/chiedi/"));
    await refused(page, await next(page), { ...about("no comune"), fields: ["comune"] });
    await page.shot(`form-comune-${language}`);
    await choose(page, "comune", "marsala");
    await refused(page, await next(page), { ...about("no kind"), fields: ["tipo"] });
    await choose(page, "tipo", "richiamata");
    await refused(page, await next(page), { ...about("no text"), fields: ["testo"] });
    await page.locator("#testo").fill("Richiamatemi, per favore.");
    await next(page);
    await choose(page, "per", "altro");
    await refused(page, await next(page), { ...about("no role"), fields: ["ruolo"] });
    await page.shot(`form-role-${language}`);
    await page.locator("input[name=ruolo]").first().check();
    await next(page);
    await page.locator("#telefono").fill("12");
    await page.locator("#nome").fill("Anna <b>Prova</b>");
    await refused(page, await next(page), { ...about("a telephone number that is none"), fields: ["telefono"] });
    assert.equal(await page.locator("#telefono").inputValue(), "12", "the number is still there");
    assert.equal(await page.locator("#nome").inputValue(), "Anna <b>Prova</b>", "so is the name");
    await page.shot(`form-contact-${language}`);
    await tabbed(page, `the refused contact (${language})`);
    page.calm();
    await page.context().close();
  });

  test(`a code that is none (${language})`, async () => {
    const page = await look(held, { width: 360, language });
    await page.goto(inLanguage(language, "/segui/"));
    const open = () => go(page, () => page.locator('button[name="azione"][value="apri"]').click());
    await refused(page, await open(), { language, what: `no code (${language})`, fields: ["comune", "codice"] });
    await page.locator('input[name="comune"][value="marsala"]').check();
    await page.locator("#codice").fill("AAAA-BBBB-CCCC-DDDD");
    await refused(page, await open(), { language, what: `a wrong code (${language})`, fields: ["codice"] });
    assert.equal(await page.locator("#codice").inputValue(), "AAAA-BBBB-CCCC-DDDD");
    await page.shot(`form-code-${language}`);
    page.calm();
    await page.context().close();
  });
}

test("a wrong password", async () => {
  const page = await look(held, { width: 360 });
  await page.goto("/accesso/");
  await page.locator("input[autocomplete=username]").fill("redazione");
  await page.locator("input[type=password]").fill("not the password");
  await go(page, () => page.locator("main form button[type=submit]").first().click());
  assert.ok(await page.locator("main [role=alert]").evaluate((element) => element === document.activeElement), "what is wrong has the focus");
  await accessible(page, "a wrong password");
  await fits(page, "a wrong password");
  await ordered(page, { what: "a wrong password" });
  await page.context().close();
});

test("a draft is kept in the browser alone, found again, and erased when asked", async () => {
  const page = await look(held, { width: 360 });
  await page.goto("/chiedi/?comune=marsala");
  await choose(page, "tipo", "informazioni");
  await page.locator("#testo").fill("Una domanda a metà");
  // The person goes away and comes back.
  await page.goto("/");
  await page.goto("/chiedi/");
  const found = page.locator("[data-draft-found]");
  assert.ok(await found.isVisible(), "the draft is found");
  await accessible(page, "a draft that was found");
  await page.shot("draft-found");
  await go(page, () => page.locator("[data-draft-resume]").click());
  assert.equal(await page.locator("#testo").inputValue(), "Una domanda a metà");
  await page.locator("[data-draft-note] [data-draft-drop]").click();
  assert.match(await page.locator("[data-draft-note] [role=status]").textContent(), /\S/, "that it was erased is said");
  await page.goto("/chiedi/");
  assert.equal(await found.isVisible(), false, "the draft is gone");
  page.calm();
  await page.context().close();
});
