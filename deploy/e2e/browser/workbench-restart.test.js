// A node that stops under a form: the form comes back with everything in it, and works when the node is there again.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browser, desk, look, soon } from "./portal.js";
import { press, signIn, startNode, stopNode } from "./workbench.js";

const held = browser();
let stopped = false;
after(async () => { if (stopped) await startNode(); });

for (const script of [false, true]) {
  test(`a node is restarted under a form, ${script ? "with" : "without"} scripts`, async () => {
    const page = await look(held, { width: 1280, script, at: desk });
    await signIn(page, "marsala/redattrice");
    await page.goto("/lavoro/schede/scheda?nome=comuni/marsala/services/trasporto-disabili");
    await press(page, "modifica");
    const words = `Scritto mentre il nodo era fermo, ${script ? "con" : "senza"} script.`;
    const summary = page.locator('textarea[name="summary.it"]');
    if (!await summary.isVisible()) await page.locator("details.part", { has: summary }).locator("> summary").first().click();
    await summary.fill(words);
    const draft = new URL(page.url()).pathname;
    await stopNode();
    stopped = true;
    await press(page, "salva");
    assert.ok((await page.content()).includes(words), "what was typed is on the page that says that the node is away");
    assert.ok(await page.locator("main [role=alert]").count(), "and it says so");
    await startNode();
    stopped = false;
    // Whatever page gave the form back, its button sends it again, until the node is there.
    await soon(async () => {
      await page.locator('main form button[type=submit]:visible:not([name="_fai"]), main button[value="salva"]:not([aria-hidden]):visible').first().click();
      await page.waitForLoadState();
      assert.ok((await page.content()).includes(words), "what was typed is still on the page");
      assert.equal(await page.locator("main [role=alert]").count(), 0, "it is saved");
    });
    await page.goto(draft);
    assert.equal(await page.locator('textarea[name="summary.it"]').inputValue(), words);
    await page.context().close();
  });
}
