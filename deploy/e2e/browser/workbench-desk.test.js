// The desk at work: a question from the public is taken, noted, answered and read; one is taken down on the telephone; and who looks
// after the node lets a colleague in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { go } from "./asking.js";
import { accessible, fits } from "./checks.js";
import { browser, desk, look, rest } from "./portal.js";
import { done, letters, press, signIn } from "./workbench.js";

const held = browser();

for (const { width, script } of [{ width: 360, script: true }, { width: 1280, script: false }]) {
  test(`a question is answered at the desk: ${width} px, ${script ? "with" : "without"} scripts`, async () => {
    const words = `Chi mi porta in ospedale? ${crypto.randomUUID().replace(/[^a-f]/g, "")}`; // long numbers are left out of lists
    const address = `persona-${width}@example.org`;
    const asked = await rest("POST", "/v1/comuni/marsala/requests", {
      at: desk, body: { request: { text: words, kind: "INFORMATION", preferredChannel: "EMAIL", contact: { email: address } } },
    });
    assert.equal(asked.status, 201, JSON.stringify(asked.body));
    const page = await look(held, { width, script, at: desk });
    await signIn(page, "marsala/sportello");
    await page.goto("/lavoro/sportello/");
    await go(page, () => page.locator(".work-list a", { hasText: words }).first().click());
    assert.match(await page.locator(".thread").first().textContent(), new RegExp(words.replace("?", "\\?")));
    await press(page, "prendi");
    await done(page, "taking the request");
    await page.locator("#nota").fill("Sentire l'autoparco.");
    await press(page, "annota");
    await done(page, "a note");

    // What is refused comes back whole.
    await page.locator("#testo").fill("Può chiedere il trasporto al comune.");
    await page.locator("#messaggio-risposta").check();
    await press(page, "rispondi");
    assert.equal(await page.locator("#testo").inputValue(), "Può chiedere il trasporto al comune.");
    assert.ok(await page.locator("#messaggio-risposta").isChecked());
    assert.ok(await page.locator("#esito-problema").isVisible(), "the outcome is missing, and said so");
    if (script) await accessible(page, `an answer without its outcome (${width})`);
    await fits(page, `an answer without its outcome (${width})`);

    // A service that is found goes along.
    await page.locator("#cerca").fill("trasporto");
    await press(page, "cerca");
    assert.equal(await page.locator("#testo").inputValue(), "Può chiedere il trasporto al comune.", "the answer is still there");
    await page.locator("input[name=servizio]").first().check();
    await page.locator("#messaggio-risposta").check();
    await page.locator("#esito").selectOption("information_given");
    await press(page, "rispondi");
    await done(page, "the answer");
    await page.shot(`workbench-desk-${width}`);
    const read = await rest("POST", "/v1/comuni/marsala/requests:lookUp", { at: desk, body: { code: asked.body.code } });
    assert.equal(read.body.state, "ANSWERED");
    assert.equal(read.body.outcome, "INFORMATION_GIVEN");
    assert.match(read.body.messages.at(-1).text, /Può chiedere il trasporto[^]*servizi\//, "the answer has the address of the service");
    assert.ok(!JSON.stringify(read.body).includes("autoparco."), "the note stays at the desk");
    await letters(address);
    page.calm();
    await page.context().close();
  });
}

test("what somebody asks on the telephone is taken down, and the person gets the code", async () => {
  const page = await look(held, { width: 360, at: desk });
  await signIn(page, "marsala/sportello");
  await page.goto("/lavoro/sportello/nuova");
  await page.locator("#testo").fill("Vorrei sapere del contributo.");
  await press(page, "invia");
  assert.ok(await page.locator("#via-problema").isVisible(), "how it came in is asked for");
  assert.equal(await page.locator("#testo").inputValue(), "Vorrei sapere del contributo.");
  await page.locator("#via-telephone").check();
  await page.locator("#nome").fill("Chi chiama");
  await page.locator("#telefono").fill("0923 111222");
  await press(page, "invia");
  const code = await page.locator("[data-code]").textContent();
  const read = await rest("POST", "/v1/comuni/marsala/requests:lookUp", { at: desk, body: { code } });
  assert.equal(read.status, 200, JSON.stringify(read.body));
  assert.equal(read.body.text, "Vorrei sapere del contributo.");
  await accessible(page, "the code for the person");
  // Registered, the term of the law runs; suspended, it stands.
  await go(page, () => page.locator("main a", { hasText: "Apri la richiesta" }).click());
  await page.locator("summary", { hasText: "Registra nel protocollo" }).click();
  await page.locator("#protocollo").fill("2026/0012345");
  await press(page, "protocolla");
  await done(page, "the protocollo");
  await page.locator("summary", { hasText: "Sospendi i tempi" }).click();
  await page.locator("#motivo").selectOption("waiting_for_administration");
  await press(page, "sospendi");
  await done(page, "the suspension");
  await press(page, "riprendi");
  await done(page, "the resumption");
  assert.match(await page.locator("main").textContent(), /2026\/0012345/);
  page.calm();
  await page.context().close();
});

test("a colleague is let in with a link that is shown once, and locked out", async () => {
  const page = await look(held, { width: 1280, at: desk });
  await signIn(page, "marsala/amministrazione");
  await page.goto("/lavoro/amministrazione/persone/nuova");
  const login = `sportello-${Date.now()}`;
  await page.locator("#utente").fill(login);
  await page.locator("input[value='SUPPORT_DESK comuni/marsala']").check();
  await press(page, "crea");
  assert.ok(await page.locator("#nome-problema").isVisible(), "the name is missing, and said so");
  assert.equal(await page.locator("#utente").inputValue(), login);
  assert.ok(await page.locator("input[value='SUPPORT_DESK comuni/marsala']").isChecked(), "the role is still chosen");
  await page.locator("#nome").fill(`Secondo ${login}`);
  await press(page, "crea");
  const link = await page.locator("[data-code]").textContent();
  const newcomer = await look(held, { width: 360, at: desk });
  await newcomer.goto(link);
  for (const field of await newcomer.locator("input[type=password]").all()) await field.fill("una frase lunga e sicura");
  await go(newcomer, () => newcomer.locator("main form button[type=submit]").first().click());
  assert.equal((await newcomer.goto("/lavoro/sportello/")).status(), 200, "the colleague works at the desk");
  assert.equal((await newcomer.goto("/lavoro/amministrazione/persone")).status(), 403, "and nowhere else");
  await page.goto("/lavoro/amministrazione/persone");
  await go(page, () => page.locator(".work-list a", { hasText: `Secondo ${login}` }).click());
  await press(page, "blocca");
  await done(page, "the lock");
  assert.equal((await newcomer.goto("/lavoro/sportello/")).status(), 403, "who is locked out is out");
  page.calm();
  await Promise.all([page.context().close(), newcomer.context().close()]);
});

test("two cards of one body become one, and back", async () => {
  const body = { title: { it: "Anffas di Marsala, doppione" }, kind: "ASSOCIATION", seat: { street: "via Trapani 33", municipality: "Marsala" }, status: { state: "ACTIVE" } };
  const made = await rest("POST", "/v1/comuni/marsala/organizations", { at: desk, as: "marsala", body });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const page = await look(held, { at: desk });
  await signIn(page, "marsala/pubblicatore");
  await page.goto("/lavoro/doppioni/");
  await go(page, () => page.locator(".work-list a", { hasText: "doppione" }).first().click());
  const kept = await page.locator("input[name=prima]").inputValue();
  const dropped = await page.locator("input[name=seconda]").inputValue();
  await page.locator("input[name='campo.title'][value=seconda]").check();
  await accessible(page, "two cards side by side");
  await press(page, "unisci");
  await done(page, "the merge");
  const pathOf = (name) => `/enti/marsala/${name.split("/").at(-1)}`;
  const moved = await fetch(desk + pathOf(dropped), { redirect: "manual" });
  assert.deepEqual([moved.status, moved.headers.get("location")], [301, pathOf(kept)], "the card that went leads to the one that stays");
  assert.equal((await rest("GET", `/v1/${kept}`, { at: desk })).body.title.it, "Anffas di Marsala, doppione");
  await press(page, "annulla");
  await done(page, "the undoing");
  assert.equal((await rest("GET", `/v1/${kept}`, { at: desk })).body.title.it, "Anffas Marsala");
  assert.equal((await fetch(desk + pathOf(dropped), { redirect: "manual" })).status, 200);
  await go(page, () => page.locator(".work-list a", { hasText: "doppione" }).first().click());
  await press(page, "diverse");
  await done(page, "the decision");
  assert.equal(await page.locator(".work-list a", { hasText: "doppione" }).count(), 0, "who are different are not shown again");
  page.calm();
  await page.context().close();
});
