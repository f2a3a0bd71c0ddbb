// A comune's node goes away while people use the portal: what is known of it is still there with its age, the others notice nothing,
// and a request is refused at once with nothing lost.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { go, send, write } from "./asking.js";
import { accessible, fits, ordered } from "./checks.js";
import { base, browser, cut, full, heal, inLanguage, look, rest, shots, soon } from "./portal.js";

const held = browser();
const comune = "mazara-del-vallo"; // of which a telephone number is known
const visitors = [];
for (const width of [360, 1280]) for (const script of [true, false]) for (const language of ["it", "ar"]) visitors.push({ width, script, language });
const tried = visitors.filter(({ width, script, language }) => full || ((width === 360) === script) === (language === "ar"));
const called = ({ width, script, language }) => `${width}-${script ? "script" : "plain"}-${language}`;

// The portal asks every ten seconds which comuni are there.
const noticed = (away) => soon(async () => {
  const text = await (await fetch(`${base}/`)).text();
  assert.equal(text.includes('<div class="alert alert-warning" role="status">'), away, away ? "the notice is not shown yet" : "the notice is still shown");
});

let phone;
const open = new Map();

before(async () => {
  const { body } = await rest("GET", `/v1/comuni/${comune}`);
  phone = body.contacts.find(({ kind }) => kind === "PHONE").value;
  // Each of the visitors is about to send a request there.
  for (const visitor of tried) {
    const page = await look(held, visitor);
    await page.goto(inLanguage(visitor.language, `/chiedi/?comune=${comune}`));
    await write(page, { comune, text: `Vorrei sapere del trasporto (${called(visitor)})` });
    open.set(called(visitor), page);
  }
  await cut(comune);
  await noticed(true);
});

after(async () => {
  await heal(comune);
  await noticed(false);
});

for (const visitor of tried) {
  const name = called(visitor);
  const { script, language } = visitor;
  test(`a comune goes away in the middle: ${name}`, async () => {
    const page = open.get(name);
    const at = (one) => inLanguage(language, one);

    // What was begun is refused at once, and nothing of it is lost.
    const began = Date.now();
    const refused = await send(page);
    assert.equal(refused.status(), 503, "the request is refused");
    assert.ok(Date.now() - began < 10_000, `it took ${Date.now() - began} ms to say so`);
    const alert = page.locator("main [role=alert]").first();
    assert.match(await alert.textContent(), /Mazara del Vallo/);
    assert.equal(await alert.locator('a[href^="tel:"]').first().textContent(), phone);
    if (script) assert.ok(await alert.evaluate((element) => element === document.activeElement), "the focus goes to what is wrong");
    assert.match(await page.locator("dl.answers").textContent(), new RegExp(`Vorrei sapere del trasporto \\(${name}\\)`), "what was typed is still there");
    assert.equal(await page.locator("#codice").count(), 0, "there is no code of a request that was not taken");
    await fits(page, `a refused request (${name})`);
    if (script) await accessible(page, `a refused request (${name})`);
    await page.shot(`away-${name}-1-refused`);

    // The notice has the time and the telephone; the others' services are found, and the last known ones of the one that is away.
    const other = await page.context().newPage();
    await other.goto(at("/servizi/?q=assistenza"));
    const said = await other.locator('.alert-warning[role="status"]').first().textContent();
    assert.match(said, /Mazara del Vallo/);
    assert.match(said, /\d{1,2}[:.]\d{2}/, `the notice says up to when: ${said}`);
    assert.ok(said.includes(phone), `the notice has the telephone number: ${said}`);
    assert.ok(await other.locator(`.results a[href^="${at("/servizi/marsala/")}"]`).count() > 0, "services of the others are found");
    if (script) await accessible(other, `results with a comune away (${name})`);
    await fits(other, `results with a comune away (${name})`);
    await other.screenshot({ path: path.join(shots, `away-${name}-2-results.png`), fullPage: true });
    for (const one of ["/", "/servizi/mazara-del-vallo/asacom", "/rete/", "/contatti/", "/agenda/", "/chi-opera/", "/chiedi/", "/segui/"]) {
      const answer = await other.goto(at(one));
      assert.equal(answer.status(), 200, one);
      await ordered(other, { language, what: `${one} with a comune away` });
      assert.match(await other.locator('.alert-warning[role="status"]').first().textContent(), /Mazara del Vallo/, one);
      if (script && language === "it") await accessible(other, `${one} with a comune away`);
    }
    // Following a request there is refused with the same words.
    await other.goto(at(`/segui/?comune=${comune}`));
    await other.locator("#codice").fill("AAAA-BBBB-CCCC-DDDD");
    const looked = await go(other, () => other.locator('button[name="azione"][value="apri"]').click());
    assert.equal(looked.status(), 503);
    assert.equal(await other.locator("#codice").inputValue(), "AAAA-BBBB-CCCC-DDDD", "the code is still there");
    await other.close();
  });
}

test("when it is back, what was refused is sent once", async () => {
  await heal(comune);
  await noticed(false);
  for (const [name, page] of open) {
    const taken = await send(page);
    assert.equal(taken.status(), 200, `${name}: ${await page.locator("main").textContent()}`);
    const code = (await page.locator("#codice").textContent()).trim();
    const { body } = await rest("POST", `/v1/comuni/${comune}/requests:lookUp`, { body: { code } });
    assert.match(body.text, new RegExp(`\\(${name}\\)`));
    page.calm();
    await page.context().close();
  }
});
