// A record on its way: an editor drafts, the publisher returns it with a comment, the editor mends it, the publisher publishes, and the
// public reads it at the ufficio comune. A delegate keeps the card of its own association and no other. An organisation confirms by link.
import assert from "node:assert/strict";
import { test } from "node:test";
import { go } from "./asking.js";
import { accessible, fits } from "./checks.js";
import { base, browser, desk, look, rest, soon } from "./portal.js";
import { done, fillSignIn, letters, press, signIn } from "./workbench.js";

const held = browser();
const card = (name) => `/lavoro/schede/scheda?nome=comuni/marsala/${name}`;
const unique = () => crypto.randomUUID().replace(/[^a-f]/g, "");
// The field of the summary, with its part of the form opened.
async function summary(page) {
  const field = page.locator('textarea[name="summary.it"]');
  if (!await field.isVisible()) await page.locator("details.part", { has: field }).locator("> summary").first().click();
  return field;
}

for (const { width, script } of [{ width: 1280, script: true }, { width: 360, script: false }]) {
  test(`draft, return, mend, publish, read: ${width} px, ${script ? "with" : "without"} scripts`, async () => {
    const name = width === 360 ? "services/asacom" : "services/trasporto-disabili";
    const [first, last] = [`Prima versione ${unique()}.`, `Porta le persone a scuola e alle cure. Parola: ${unique()}.`];
    const [editor, publisher] = [await look(held, { width, script, at: desk }), await look(held, { width, script, at: desk })];
    await Promise.all([signIn(editor, "marsala/redattrice"), signIn(publisher, "marsala/pubblicatore")]);

    await editor.goto(card(name));
    await press(editor, "modifica");
    const draft = new URL(editor.url()).pathname;
    await (await summary(editor)).fill(first);
    if (script) await accessible(editor, "the form of a service");
    await fits(editor, `the form of a service, ${width} px`);
    await editor.shot(`workbench-draft-${width}`);
    await press(editor, "invia");
    assert.match(editor.url(), /revisione/, `the draft is handed in: ${await editor.locator("main [role=alert]").allTextContents()}`);
    assert.equal(await editor.locator('button[value="pubblica"]').count(), 0, "an editor does not publish");

    await publisher.goto("/lavoro/bozze/");
    assert.ok(await publisher.locator(`a[href^="${draft}"]`).count(), "the draft waits for the publisher");
    await publisher.goto(`${draft}/revisione`);
    assert.match(await publisher.locator("main").textContent(), new RegExp(first));
    if (script) await accessible(publisher, "a draft in review");
    await fits(publisher, `a draft in review, ${width} px`);
    await publisher.locator("#testo").fill("Dire dove porta.");
    await press(publisher, "rimanda");
    await done(publisher, "the return");

    await editor.goto(draft);
    assert.match(await editor.locator("main").textContent(), /Dire dove porta\./, "the editor reads why");
    await (await summary(editor)).fill(last);
    await press(editor, "invia");

    await publisher.goto(`${draft}/revisione`);
    const began = performance.now();
    await press(publisher, "pubblica");
    await done(publisher, "the publication");
    const path = `/servizi/marsala/${name.split("/").at(-1)}`;
    await soon(async () => assert.match(await (await fetch(base + path)).text(), new RegExp(last)));
    console.log(`published at Marsala, read at the ufficio comune after ${Math.round(performance.now() - began)} ms (${width} px)`);
    await publisher.goto(`/lavoro/schede/storia?nome=comuni/marsala/${name}`);
    if (script) await accessible(publisher, "the history of a service");
    editor.calm();
    publisher.calm();
    await Promise.all([editor.context().close(), publisher.context().close()]);
  });
}

test("a delegate keeps the card of its own association and no other", async () => {
  const page = await look(held, { at: desk });
  await signIn(page, "marsala/delegata");
  await page.goto(card("organizations/anffas-marsala"));
  await press(page, "modifica");
  const words = `Aiuta le famiglie. ${unique()}.`;
  await (await summary(page)).fill(words);
  await press(page, "invia");
  assert.match(page.url(), /revisione/, "its own card is handed in");
  const answer = await page.goto(card("organizations/comune-di-marsala"));
  if (answer.status() === 200 && await page.locator('button[value="modifica"]').count()) {
    const refused = await go(page, () => page.locator('button[value="modifica"]').click());
    assert.equal(refused.status(), 403, "another body's card is not the delegate's");
  }
  await page.context().close();
});

test("an organisation confirms by a link that comes by e-mail", async () => {
  const publisher = await look(held, { at: desk });
  await signIn(publisher, "marsala/pubblicatore");
  await publisher.goto("/lavoro/verifiche/conferme?ente=comuni/marsala/organizations/anffas-marsala");
  const another = publisher.locator("#email-altra");
  if (await another.count()) await another.check();
  await publisher.locator("#altra").fill("anffas@example.org");
  await accessible(publisher, "a link to an organisation");
  await go(publisher, () => publisher.locator("form.ask button[type=submit]").click());
  await done(publisher, "the link");
  const [letter] = await letters("anffas@example.org");
  const link = letter.replace(/=\r?\n/g, "").replace(/=3D/g, "=").match(/http:\/\/\S+\/conferma\/\S+/)[0];
  const organisation = await look(held, { width: 360, at: desk });
  await organisation.goto(link);
  await accessible(organisation, "the page that the link leads to");
  await fits(organisation, "the page that the link leads to");
  if (await organisation.locator('button[value="tutte"]').count()) await press(organisation, "tutte");
  else {
    await organisation.locator("input[type=radio][value=giusto]").first().check();
    await go(organisation, () => organisation.locator("form.correct button[type=submit]").last().click());
  }
  assert.equal(await organisation.locator("main [role=alert]").count(), 0, "the answer is taken");
  await soon(async () => {
    const { body } = await rest("GET", "/v1/comuni/marsala/organizations/anffas-marsala", { at: desk });
    assert.equal(body.provenance?.verifyTime?.slice(0, 10), new Date().toISOString().slice(0, 10), "the card is verified today");
  });
  const again = await organisation.goto(link);
  assert.notEqual(again.status(), 500);
  assert.equal(await organisation.locator("input[type=radio]").count(), 0, "the link is good once");
  await Promise.all([publisher.context().close(), organisation.context().close()]);
});

test("two people edit one record, and what both wrote stays", async () => {
  const [one, other] = [await look(held, { at: desk }), await look(held, { width: 360, at: desk })];
  await Promise.all([signIn(one, "marsala/redattrice"), signIn(other, "marsala/pubblicatore")]);
  await one.goto(card("services/asacom"));
  await press(one, "modifica");
  await other.goto(new URL(one.url()).pathname);
  const [mine, theirs] = [`Di una persona: ${unique()}.`, `Dell'altra: ${unique()}.`];
  await (await summary(one)).fill(mine);
  await (await summary(other)).fill(theirs);
  // The first that saves is saved; the other sees both.
  await press(one, "salva");
  await press(other, "salva");
  const shown = await other.locator("main").innerHTML();
  assert.ok(shown.includes(theirs.replace("'", "&#39;")) || await other.locator('textarea[name="summary.it"]').inputValue() === theirs, "what was typed is still there");
  assert.ok(shown.includes(mine), "and what the other person wrote is shown");
  await accessible(other, "a conflict side by side");
  await fits(other, "a conflict side by side");
  await Promise.all([one.context().close(), other.context().close()]);
});

test("a session that ends while somebody types loses nothing", async () => {
  const page = await look(held, { script: false, at: desk });
  await signIn(page, "marsala/redattrice");
  await page.goto("/lavoro/schede/nuova?tipo=services");
  const title = `Un servizio nuovo ${unique()}`;
  await page.locator("#titolo").fill(title);
  await go(page, () => page.locator("main form button[type=submit]").click());
  await (await summary(page)).fill("Scritto mentre la sessione finiva.");
  const draft = new URL(page.url()).pathname;
  await page.context().clearCookies();
  await press(page, "salva");
  assert.ok(await page.locator("input[type=password]").isVisible(), "who it is is asked for");
  await fillSignIn(page, "marsala/redattrice");
  await page.goto(draft);
  assert.equal(await (await summary(page)).inputValue(), "Scritto mentre la sessione finiva.");
  await page.context().close();
});
