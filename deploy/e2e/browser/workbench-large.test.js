// An office with ten thousand cards: they come from one file, and every list of them stays quick.
import assert from "node:assert/strict";
import { test } from "node:test";
import { go } from "./asking.js";
import { accessible, fits } from "./checks.js";
import { browser, desk, look, soon } from "./portal.js";
import { press, signIn } from "./workbench.js";

const held = browser();
const rows = 10_000;
// What a page may take; a busy machine included.
const quick = 2_000;

test(`lists of ${rows} cards`, async () => {
  const lines = ["Denominazione;Descrizione;Comune;Telefono"];
  for (let i = 1; i <= rows; i++) lines.push(`Associazione di prova ${i};Aiuta le persone della zona ${i}.;Marsala;0923 ${String(100_000 + i)}`);
  const page = await look(held, { at: desk });
  page.context().setDefaultTimeout(60_000);
  await signIn(page, "marsala/pubblicatore");
  await page.goto("/lavoro/importazioni/");
  await page.locator("#tipo").selectOption("organizations");
  await page.locator("#fonte").fill("grande-elenco");
  await page.locator("#file").setInputFiles({ name: "grande.csv", mimeType: "text/csv", buffer: Buffer.from(lines.join("\r\n")) });
  await go(page, () => page.locator("main form.ask button[type=submit]").click());
  const reached = (what) => soon(async () => {
    await page.goto(page.url());
    assert.ok(await page.locator(what).count(), await page.locator("main").textContent());
  }, 90_000);
  await reached("#colonne");
  await press(page, "prova");
  await reached('button[value="importa"]');
  await press(page, "importa");
  await reached(".state-good");
  const done = new URL(page.url()).pathname;
  for (const path of ["/lavoro/", "/lavoro/schede/", "/lavoro/schede/?q=prova+9999", `${done}/righe`, "/lavoro/verifiche/"]) {
    await page.goto(path);
    const took = [];
    for (let i = 0; i < 3; i++) {
      const began = performance.now();
      assert.equal((await page.goto(path)).status(), 200, path);
      took.push(Math.round(performance.now() - began));
    }
    const size = (await page.content()).length;
    console.log(`${path}: ${took.sort((a, b) => a - b)[1]} ms with ${rows} cards, ${Math.round(size / 1024)} KiB`);
    assert.ok(took[1] < quick, `${path} took ${took} ms`);
    assert.ok(size < 1_000_000, `${path} shows one page, not all of the list: ${size} bytes`);
    await fits(page, path);
  }
  await accessible(page, "a list of ten thousand");
  page.calm();
  await page.context().close();
});
