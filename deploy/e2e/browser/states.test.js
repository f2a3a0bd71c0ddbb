// What pages become while somebody uses them, with scripts: the menu, suggestions, the questions of "serve a me?", ticks, filters.
import assert from "node:assert/strict";
import { test } from "node:test";
import { go } from "./asking.js";
import { accessible, fits, tabbed } from "./checks.js";
import { browser, look } from "./portal.js";

const held = browser();

test("by keyboard: past the header, suggestions, results, a card", async () => {
  const page = await look(held, { reducedMotion: "reduce" });
  await page.goto("/");
  await page.keyboard.press("Tab");
  const skip = page.locator(":focus");
  assert.equal(await skip.getAttribute("href"), "#contenuto");
  const box = await skip.boundingBox();
  assert.ok(box.width > 40 && box.height >= 24, `the skip link is seen when it has the focus: ${JSON.stringify(box)}`);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "MAIN");
  await page.keyboard.press("Tab");
  assert.equal(await page.locator(":focus").getAttribute("id"), "q", "after the skip link comes the search field");

  await page.keyboard.type("traspo");
  const list = page.getByRole("listbox");
  await list.waitFor();
  const field = page.getByRole("combobox").first();
  assert.equal(await field.getAttribute("aria-expanded"), "true");
  await page.keyboard.press("ArrowDown");
  const active = await field.getAttribute("aria-activedescendant");
  assert.equal(await page.locator(`[id="${active}"]`).getAttribute("aria-selected"), "true");
  await accessible(page, "home with suggestions");
  await page.shot("keyboard-suggestions");
  await page.keyboard.press("Escape");
  assert.equal(await list.isVisible(), false, "Escape closes suggestions");
  assert.equal(await field.inputValue(), "traspo", "Escape keeps what was typed");
  assert.equal(await page.locator(":focus").getAttribute("id"), "q");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/servizi\/\?q=traspo/);

  // On to the first result and into its card.
  const first = page.locator(".results h3 a").first();
  for (let i = 0; i < 60 && !(await first.evaluate((link) => link === document.activeElement)); i++) await page.keyboard.press("Tab");
  assert.ok(await first.evaluate((link) => link === document.activeElement), "Tab reaches the first result");
  await page.shot("keyboard-result");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/servizi\/[a-z-]+\/[a-z-]+/);
  await page.goBack();
  await page.locator(".results input[type=checkbox]").first().focus();
  await page.keyboard.press("Space");
  assert.ok(await page.locator(".results input[type=checkbox]").first().isChecked(), "a result is chosen with the space bar");
  page.calm();
  await page.context().close();
});

test("the menu of a telephone opens and closes by keyboard", async () => {
  const page = await look(held, { width: 360, reducedMotion: "reduce" });
  await page.goto("/");
  const button = page.locator(".menu-button");
  const menu = page.locator("#menu");
  assert.equal(await menu.isVisible(), false);
  await button.focus();
  await page.keyboard.press("Enter");
  assert.equal(await button.getAttribute("aria-expanded"), "true");
  assert.ok(await menu.isVisible());
  await accessible(page, "home with its menu open");
  await fits(page, "home with its menu open");
  await page.shot("menu-open-360");
  await tabbed(page, "home with its menu open");
  await menu.locator("a").first().focus();
  await page.keyboard.press("Escape");
  assert.equal(await button.getAttribute("aria-expanded"), "false");
  assert.equal(await menu.isVisible(), false);
  assert.ok(await button.evaluate((element) => element === document.activeElement), "the button has the focus again");
  page.calm();
  await page.context().close();
});

test("without scripts the menu of a telephone is open", async () => {
  const page = await look(held, { width: 360, script: false });
  await page.goto("/");
  assert.ok(await page.locator("#menu").isVisible());
  assert.equal(await page.locator(".menu-button").isVisible(), false);
  await page.context().close();
});

test("«serve a me?» is answered in the browser, and nothing is sent", async (t) => {
  for (const [width, language] of [[1280, "it"], [360, "ar"]]) {
    await t.test(`${width} px, ${language}`, async () => {
      const page = await look(held, { width, language });
      await page.goto(`${language === "it" ? "" : `/${language}`}/servizi/marsala/trasporto-disabili`);
      const form = page.locator("[data-fit] form");
      await form.waitFor();
      const asked = [];
      page.on("request", (request) => asked.push(request.url()));
      const result = form.locator("[role=status]");
      await form.locator("button[type=submit]").click();
      assert.equal(await result.locator("[data-result]").getAttribute("data-result"), "maybe", "nothing said never means no");
      await form.locator("select").first().selectOption({ index: 1 });
      await form.locator("[name=fit-paper]").first().check();
      await form.locator("button[type=submit]").click();
      const said = await result.locator("[data-result]").getAttribute("data-result");
      assert.ok(["fits", "maybe"].includes(said), said);
      assert.ok((await result.locator("li").count()) > 0, "each criterion is said");
      await form.locator("select").first().selectOption("elsewhere");
      await form.locator("button[type=submit]").click();
      await accessible(page, `the answer of «serve a me?» (${language})`);
      await fits(page, `the answer of «serve a me?» (${language})`);
      await page.shot(`fit-${width}-${language}`);
      assert.deepEqual(asked, [], "what was asked while a person answered");
      page.calm();
      await page.context().close();
    });
  }
});

test("filters narrow results, and say how to widen them", async () => {
  const page = await look(held, { width: 360 });
  await page.goto("/servizi/");
  const all = Number((await page.locator("#trovati").textContent()).match(/\d+/)[0]);
  await page.locator("summary").first().click();
  await accessible(page, "results with filters open");
  await fits(page, "results with filters open");
  await page.locator("input[name=comune]").first().check();
  await page.locator("details:has(input[name=comune]) button[type=submit]").click();
  await page.waitForURL(/comune=/);
  const some = Number((await page.locator("#trovati").textContent()).match(/\d+/)[0]);
  assert.ok(some > 0 && some < all, `${some} of ${all}`);
  page.calm();
  await page.context().close();
});

test("a page is rated: other questions for few stars than for many, then it is said that the answer was taken", async (t) => {
  for (const [width, language, script] of [[360, "ar", true], [1280, "it", false]]) {
    await t.test(`${width} px, ${language}`, async () => {
      const page = await look(held, { width, language, script });
      const card = `${language === "it" ? "" : `/${language}`}/servizi/marsala/asacom`;
      const asked = {};
      for (const stars of [4, 2]) {
        await page.goto(card);
        await go(page, () => page.locator(`[data-element="feedback-rate-${stars}"]`).click());
        assert.equal(await page.locator(`[data-element="feedback-rating-${stars > 3 ? "positive" : "negative"}"]`).count(), 1);
        asked[stars] = await page.locator('[data-element="feedback-rating-answer"]').allTextContents();
        assert.ok(asked[stars].length >= 4, `${asked[stars]}`);
      }
      assert.notDeepEqual(asked[4], asked[2]);
      await page.locator("input[name=aspetto]").first().check();
      await page.locator('[data-element="feedback-input-text"]').fill("Mancano gli orari.");
      await fits(page, "the rating");
      const taken = await go(page, () => page.locator("#manda").click());
      assert.equal(taken.status(), 200);
      assert.ok(await page.locator("main [role=status]").isVisible(), "that it was taken is said");
      if (script) await accessible(page, "a rating that was taken");
      await page.shot(`rating-${width}-${language}`);
      page.calm();
      await page.context().close();
    });
  }
});
