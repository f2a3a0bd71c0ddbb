// Every screen of the workbench, for each role that sees it: accessible, ordered, no wider than a telephone, and all of it in reach of
// the keyboard.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { accessible, counted, fits, ordered, tabbed } from "./checks.js";
import { base, browser, desk, look, rest } from "./portal.js";
import { signIn } from "./workbench.js";

const held = browser();

// By who looks: the account, and the paths.
const screens = {
  "marsala/redattrice": [
    "/lavoro/", "/lavoro/schede/", "a record", "its history", "/lavoro/schede/nuova", "/lavoro/bozze/", "a draft", "/lavoro/verifiche/", "/lavoro/doppioni/", "/lavoro/importazioni/",
  ],
  "marsala/pubblicatore": ["/lavoro/verifiche/conferme", "/lavoro/correzioni/", "/lavoro/sportello/giudizi"],
  "marsala/sportello": [
    "/lavoro/", "/lavoro/sportello/", "/lavoro/sportello/?stato=received&chi=nessuno&scadute=1", "/lavoro/sportello/nuova",
    "/lavoro/sportello/risposte", "a request",
  ],
  "marsala/programmazione": ["/lavoro/"],
  "marsala/amministrazione": [
    "/lavoro/", "/lavoro/amministrazione/", "/lavoro/amministrazione/persone", "/lavoro/amministrazione/persone/nuova", "a person",
    "/lavoro/amministrazione/messaggi", "/lavoro/amministrazione/copie", "/lavoro/amministrazione/rete", "/lavoro/amministrazione/nodo",
    "/lavoro/amministrazione/vocabolari",
  ],
  "marsala/controllo": ["/lavoro/amministrazione/registro?esito=refused"],
  "marsala/delegata": ["/lavoro/"],
};
// What is found on another page, by its first link.
const found = {
  "a record": ["/lavoro/schede/", "main a[href*='/lavoro/schede/scheda']"], "its history": ["/lavoro/schede/scheda?nome=comuni/marsala/services/asacom", "main a[href*='/lavoro/schede/storia']"],
  "a draft": ["/lavoro/bozze/", "main a[href^='/lavoro/bozze/d']"],
  "a request": ["/lavoro/sportello/?stato=tutte", ".work-list a"], "a person": ["/lavoro/amministrazione/persone", ".work-list a"] };

const open = async (page, path) => {
  if (!found[path]) return page.goto(path);
  const [list, link] = found[path];
  await page.goto(list);
  return page.goto(await page.locator(link).first().getAttribute("href"));
};

test("a request and a draft to look at", async () => {
  const drafted = await rest("POST", "/v1/comuni/marsala/drafts", { at: desk, as: "marsala", body: { record: "comuni/marsala/services/asacom" } });
  assert.ok(drafted.status < 300, JSON.stringify(drafted.body));
  const asked = await rest("POST", "/v1/comuni/marsala/requests", { at: desk, body: { request: { text: "A che ora apre lo sportello?" } } });
  assert.equal(asked.status, 201);
});

for (const [who, paths] of Object.entries(screens)) {
  test(`what ${who} sees`, async (t) => {
    const [wide, narrow] = [await look(held, { at: desk, reducedMotion: "reduce" }), await look(held, { width: 360, at: desk })];
    await Promise.all([signIn(wide, who), signIn(narrow, who)]);
    for (const path of paths) {
      await t.test(path, async () => {
        const what = `${path} (${who})`;
        assert.equal((await open(wide, path)).status(), 200, `status of ${what}`);
        await ordered(wide, { what });
        await accessible(wide, what);
        await fits(wide, what);
        await tabbed(wide, what);
        assert.equal((await open(narrow, path)).status(), 200);
        await accessible(narrow, `${what}, 360 px`);
        await fits(narrow, `${what}, 360 px`);
        await wide.shot(`workbench-${what.replace(/[^a-z]+/gi, "-")}-1280`);
        await narrow.shot(`workbench-${what.replace(/[^a-z]+/gi, "-")}-360`);
      });
    }
    wide.calm();
    narrow.calm();
    await Promise.all([wide.context().close(), narrow.context().close()]);
  });
}

test("at the ufficio comune: what two comuni say of one body, and the board", async (t) => {
  const page = await look(held, { at: base });
  await signIn(page, "marsala/pubblicatore", base);
  for (const path of ["/lavoro/", "/lavoro/doppioni/", "/lavoro/amministrazione/rete"]) {
    await t.test(path, async () => {
      assert.equal((await page.goto(path)).status(), 200);
      await ordered(page, { what: path });
      await accessible(page, path);
      await fits(page, path);
    });
  }
  await page.goto("/lavoro/doppioni/");
  await page.goto(await page.locator(".work-list a").first().getAttribute("href"));
  await accessible(page, "two cards of two comuni");
  const live = page.waitForFunction(() => /si aggiorna/i.test(document.querySelector("[data-board-said]")?.textContent ?? ""));
  await page.goto("/lavoro/amministrazione/rete");
  await live;
  page.calm();
  await page.context().close();
});

test("nobody sees a screen of the workbench without signing in", async () => {
  const page = await look(held, { at: desk });
  for (const path of ["/lavoro/", "/lavoro/sportello/", "/lavoro/amministrazione/persone", "/lavoro/doppioni/"]) {
    assert.equal((await page.goto(path)).status(), 403, path);
    assert.ok(await page.locator("input[type=password]").isVisible(), `${path} asks who it is`);
  }
  await page.context().close();
});

after(() => console.log(`axe: ${counted.states} states, ${counted.passes} rules passed`));
