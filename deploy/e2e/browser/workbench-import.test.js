// An office's spreadsheet as it really is becomes published cards in one sitting: a title across the sheet, Windows-1252, Italian dates,
// two telephones in one cell, empty lines, a row that is there twice, one that cannot be read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { go } from "./asking.js";
import { accessible, fits } from "./checks.js";
import { base, browser, desk, look, rest, soon } from "./portal.js";
import { press, signIn } from "./workbench.js";

const held = browser();

const sheet = Buffer.from([
  "ELENCO ASSOCIAZIONI DEL TERRITORIO;;;;;;",
  "aggiornato al 12/03/2026;;;;;;",
  "Denominazione;Descrizione;Indirizzo;Comune;Telefono;E-mail;Sito",
  "Società San Vito per l'Autonomia;Aiuta chi è solo a casa. Accompagna alle visite.;Via Roma, 12;Marsala;0923 711111 / 333 7111111;san.vito@example.org;",
  ";;;;;;",
  "Associazione Città Amica;Gioca con i bambini. È aperta anche d'estate.;P.zza Libertà 3;Marsala;0923-722222;;www.citta-amica.example.org",
  "Associazione Città Amica;Gioca con i bambini. È aperta anche d'estate.;P.zza Libertà 3;Marsala;0923-722222;;www.citta-amica.example.org",
  ";Riga senza nome;;;;;",
  "Perché No? Onlus;Insegna a usare il computer.;Contrada Ciavolo 7;Marsala;0923/733333;perche.no@example.org;",
  "",
].join("\r\n"), "latin1");

for (const { width, script } of [{ width: 1280, script: true }]) {
  test(`a messy spreadsheet becomes published cards: ${width} px`, async () => {
    const page = await look(held, { width, script, at: desk });
    const began = performance.now();
    await signIn(page, "marsala/pubblicatore");
    await page.goto("/lavoro/importazioni/");
    await page.locator("#tipo").selectOption("organizations");
    await page.locator("#fonte").fill("ufficio-sociale");
    await page.locator("#file").setInputFiles({ name: "associazioni.csv", mimeType: "text/csv", buffer: sheet });
    await go(page, () => page.locator("main form.ask button[type=submit]").click());
    await soon(async () => {
      if (!await page.locator("#colonne").count()) { await page.reload(); assert.ok(await page.locator("#colonne").count(), `the columns are guessed: ${await page.locator("main").textContent()}`); }
    });
    await accessible(page, "the columns of a spreadsheet");
    await fits(page, "the columns of a spreadsheet");
    await page.shot(`workbench-import-columns-${width}`);
    if (await page.locator("#visibile").count()) await page.locator("#visibile").selectOption("public");
    await press(page, "prova");
    const reached = (state) => soon(async () => {
      if (!await page.locator(`button[value="${state}"]`).count() && !(state === "done" && await page.locator(".state-good").count())) {
        await page.goto(page.url());
        assert.ok(await page.locator(state === "done" ? ".state-good" : `button[value="${state}"]`).count(), await page.locator("main").textContent());
      }
    });
    await reached("importa");
    await accessible(page, "what an import would do");
    await page.shot(`workbench-import-tried-${width}`);
    await press(page, "importa");
    await reached("done");
    await accessible(page, "what became of the rows");
    await page.shot(`workbench-import-done-${width}`);
    const rows = new URL(page.url()).pathname + "/righe";
    const counts = Object.fromEntries(await page.locator(".counts > div").evaluateAll((all) => all.map((one) => [one.querySelector("dt").textContent.trim(), Number.parseInt(one.querySelector("dd").textContent, 10)])));
    assert.deepEqual([counts["Righe nel file"], counts["Schede nuove"], counts["Non prese"], counts["Ripetute"]], [5, 3, 1, 1], `every row is accounted for: ${JSON.stringify(counts)}`);
    await page.goto(rows);
    await accessible(page, "the import, line by line");
    await fits(page, "the import, line by line");
    for (const title of ["Società San Vito per l'Autonomia", "Associazione Città Amica", "Perché No? Onlus"]) {
      await soon(async () => {
        const { body } = await rest("GET", `/v1/search?q=${encodeURIComponent(title)}&comuni=marsala&kinds=organizations`);
        const hits = (body.hits ?? []).filter((hit) => hit.title === title);
        assert.equal(hits.length, 1, `«${title}» is read once at the ufficio comune`);
        const card = await fetch(`${base}/enti/marsala/${hits[0].name.split("/").at(-1)}`);
        assert.equal(card.status, 200);
        if (title.startsWith("Società")) assert.match(await card.text(), /0923[\s/.-]*711111[^]*333[\s/.-]*7111111/, "both telephones");
      });
    }
    console.log(`from the file to published cards: ${Math.round(performance.now() - began)} ms`);
    page.calm();
    await page.context().close();
  });
}
