// What people come for, from the first page to the end: on a telephone and a desk, with and without scripts, in Italian and Arabic.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";
import { go, send, write } from "./asking.js";
import { accessible, fits, ordered } from "./checks.js";
import { browser, desk, full, inLanguage, look, rest, shots } from "./portal.js";

const held = browser();
const visitors = [];
for (const width of [360, 1280]) for (const script of [true, false]) for (const language of ["it", "ar"]) visitors.push({ width, script, language });
// In the short run each two of the three meet once.
const tried = visitors.filter(({ width, script, language }) => full || ((width === 360) !== script) === (language === "it"));

for (const visitor of tried) {
  const { width, script, language } = visitor;
  const name = `${width}-${script ? "script" : "plain"}-${language}`;
  test(`a journey: ${width} px, ${script ? "with" : "without"} scripts, ${language}`, async () => {
    const page = await look(held, visitor);
    const at = (address) => inLanguage(language, address);
    const seen = async (step) => {
      await fits(page, `${step} (${name})`);
      await page.shot(`journey-${name}-${step}`);
    };

    // Everyday words find a service.
    await page.goto(at("/"));
    await seen("1-home");
    await page.locator("#q").fill("pulmino");
    await go(page, () => page.locator("form.search button[type=submit]").click());
    assert.equal(new URL(page.url()).searchParams.get("q"), "pulmino");
    const link = page.locator(`.results h3 a[href="${at("/servizi/marsala/trasporto-disabili")}"]`);
    assert.equal(await link.count(), 1, "«pulmino» finds the transport, which is called otherwise");
    await seen("2-results");

    // Its card is read, and another language shows the same page.
    await go(page, () => link.click());
    await ordered(page, { language, what: `the card (${name})` });
    assert.match(await page.locator('[data-element="service-title"]').textContent(), /\S/);
    for (const one of ["service-status", "service-description", "service-how-to", "service-generic-access", "service-area"]) {
      assert.ok(await page.locator(`[data-element="${one}"]`).first().isVisible(), `${one} is seen`);
    }
    await seen("3-card");
    const other = language === "it" ? "ar" : "it";
    await go(page, () => page.locator(`nav.languages a[lang="${other}"]`).click());
    assert.equal(new URL(page.url()).pathname, inLanguage(other, "/servizi/marsala/trasporto-disabili"));
    await ordered(page, { language: other, what: `the card in the other language (${name})` });
    await seen("4-card-other-language");
    await go(page, () => page.locator(`nav.languages a[lang="${language}"]`).click());
    assert.equal(new URL(page.url()).pathname, at("/servizi/marsala/trasporto-disabili"));

    // A list of one's own: this service and another.
    if (script) {
      const keep = page.locator("[data-keep]");
      const before = await keep.textContent();
      await keep.click();
      assert.notEqual(await keep.textContent(), before, "the button says that it is in the list");
    }
    await page.goto(at("/servizi/?q=pulmino"));
    const boxes = page.locator("input[data-listed]");
    const first = page.locator('input[data-listed="marsala/trasporto-disabili"]');
    if (script) assert.ok(await first.isChecked(), "what was put in the list is ticked among the results");
    else await first.check();
    await boxes.nth(1).check();
    await go(page, () => page.locator('button[form="lista"]').click());
    await page.waitForLoadState();
    assert.equal(await page.locator(".listed").count(), 2, "both are in the list");
    assert.match(page.url(), /s=marsala%2Ftrasporto-disabili/, "the address has the list, to be shared");
    if (script) {
      await page.goto(at("/la-mia-lista/"));
      await page.locator(".listed").nth(1).waitFor();
    }
    await seen("5-list");

    // On paper: only what belongs there, on A4, with the address to come back.
    await page.emulateMedia({ media: "print" });
    for (const gone of ["nav.languages", ".page-rating", "footer", ".breadcrumb-container", ".no-print"]) {
      for (const one of await page.locator(gone).all()) assert.equal(await one.isVisible(), false, `${gone} is not printed`);
    }
    assert.ok(await page.locator(".only-print svg, .only-print img").first().isVisible(), "the list's QR code is printed");
    const paper = await page.pdf({ preferCSSPageSize: true, path: path.join(shots, `journey-${name}-6-print.pdf`) });
    const [, wide, high] = paper.toString("latin1").match(/\/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/);
    assert.ok(Math.abs(wide - 595) < 2 && Math.abs(high - 842) < 2, `paper of ${wide} × ${high} pt is not A4`);
    await page.emulateMedia({ media: "screen" });

    // A question to the desk, from the card: one thing a page.
    await page.goto(at("/servizi/marsala/trasporto-disabili"));
    await go(page, () => page.locator('[data-element="service-generic-access"] a.btn-primary').click());
    const text = `Il pulmino passa anche il sabato? (${name})`;
    await write(page, { comune: "marsala", text }, async (step) => {
      await ordered(page, { language, what: `the question ${step} (${name})` });
      await seen(`7-ask-${step}`);
    });
    assert.match(await page.locator("dl.answers").textContent(), /Il pulmino passa anche il sabato/);
    const taken = await send(page);
    assert.equal(taken.status(), 200, await page.locator("main").textContent());
    const code = (await page.locator("#codice").textContent()).trim();
    assert.match(code, /^[A-Z0-9][A-Z0-9 -]{10,}$/i);
    assert.equal(await page.locator("main [role=status]").count() > 0, true, "that it was taken is said aloud");
    if (script) assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "status", "and has the focus");
    await seen("8-receipt");

    // The desk answers; the person reads it with the code, writes back, says how good it was, and closes.
    const { body: request, status } = await rest("POST", "/v1/comuni/marsala/requests:lookUp", { body: { code } });
    assert.equal(status, 200, JSON.stringify(request));
    assert.equal(request.text, text);
    assert.equal(request.service, "comuni/marsala/services/trasporto-disabili", "the request is about the service of the card");
    assert.equal(request.language || "it", language);
    const answer = async (body) => {
      const answered = await rest("POST", `/v1/${request.name}:answer`, { at: desk, as: "marsala", body });
      assert.equal(answered.status, 200, JSON.stringify(answered.body));
    };
    const open = () => go(page, () => page.locator('button[name="azione"][value="apri"]').click());
    await answer({ text: "Da dove vuole partire?", waitingForPerson: true });
    await page.goto(at("/segui/"));
    await seen("9-follow");
    await page.locator('input[name="comune"][value="marsala"]').check();
    await page.locator("#codice").fill(code.toLowerCase()); // however it is typed
    await open();
    assert.match(await page.locator(".thread .by-desk").textContent(), /Da dove vuole partire/);
    await page.locator("#testo").fill("Da contrada Ponte Fiumarella.");
    await go(page, () => page.locator('button[name="azione"][value="scrivi"]').click());
    assert.equal(await page.locator(".thread .by-person").count(), 2, "the message is in the thread");
    await answer({ text: "Sì, anche il sabato mattina. Chiami il giorno prima.", final: true, outcome: "INFORMATION_GIVEN" });
    await page.goto(at("/segui/?comune=marsala"));
    assert.ok(await page.locator('input[name="comune"][value="marsala"]').isChecked(), "the comune of the address is chosen");
    await page.locator("#codice").fill(code);
    await open();
    await ordered(page, { language, what: `the request (${name})` });
    assert.match(await page.locator(".thread .by-desk").last().textContent(), /anche il sabato mattina/);
    await seen("10-answer");
    await page.locator("#voto-5").check();
    await page.locator("#commento").fill("Grazie!");
    await go(page, () => page.locator('button[name="azione"][value="valuta"]').click());
    assert.ok(await page.locator(".alert-success").isVisible(), "the rating was taken");
    await page.locator("details:has(button[value=chiudi]) summary").click();
    await go(page, () => page.locator('button[name="azione"][value="chiudi"]').click());
    assert.ok(await page.locator(".alert-success").isVisible(), "the request was closed");
    assert.equal(await page.locator('button[name="azione"][value="scrivi"]').count(), 0, "nothing is written to a closed request");
    const { body: closed } = await rest("POST", "/v1/comuni/marsala/requests:lookUp", { body: { code } });
    assert.deepEqual([closed.state, closed.rating.score, closed.outcome], ["CLOSED", 5, "INFORMATION_GIVEN"]);
    await seen("11-closed");
    if (script) await accessible(page, `a closed request (${name})`); // axe is a script itself
    page.calm();
    await page.context().close();
  });
}

after(async () => {
  await writeFile(path.join(shots, "README.txt"), "Screenshots and prints of the last run, for a person to look at.\n");
  console.log(`screenshots: ${shots}`);
});
