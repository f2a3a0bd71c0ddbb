// Every type of page, in each of its states that has an address: accessible, ordered, complete, quiet, and readable however a person
// has set up their browser.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { accessible, complete, counted, fits, ordered, tabbed } from "./checks.js";
import { languages, pages } from "./pages.js";
import { browser, full, inLanguage, look } from "./portal.js";

const held = browser();
// The setting "very large text" of a browser: everything that is said in rem doubles, and so do the limits of narrow screens.
const large = browser("--blink-settings=defaultFontSize=32,defaultFixedFontSize=26");

const visit = async (view, page, language = "it") => {
  const answer = await view.goto(inLanguage(language, page.path));
  assert.equal(answer.status(), page.status ?? 200, `status of ${page.name}`);
};

// In the short run axe looks at all pages in Italian, and at every third in Arabic.
for (const language of full ? languages : ["it", "ar"]) {
  test(`pages in ${language}: axe, landmarks, headings, what has to be there`, async (t) => {
    const view = await look(held, { language });
    for (const [i, page] of pages.entries()) {
      await t.test(page.name, async () => {
        const what = `${page.name} (${language})`;
        await visit(view, page, language);
        await ordered(view, { language, what });
        await complete(view, { unrated: page.unrated || page.status >= 400, what });
        if (full || language === "it" || i % 3 === 0) await accessible(view, what);
        await fits(view, what);
      });
    }
    view.calm();
    await view.context().close();
  });
}

// On a telephone, with another set-up of the browser for each page in turn; all set-ups for all pages in the full run.
const setups = { forced: { forcedColors: "active" }, contrast: { contrast: "more" }, reduced: { reducedMotion: "reduce" }, narrow: {} };
test("pages on a telephone, with high contrast, forced colours and reduced motion", async (t) => {
  const view = await look(held, { width: 360 });
  const names = Object.keys(setups);
  for (const [i, page] of pages.entries()) {
    for (const name of full ? names : [names[i % names.length]]) {
      await t.test(`${page.name}, ${name}`, async () => {
        await view.emulateMedia({ forcedColors: "none", contrast: "no-preference", reducedMotion: "no-preference", ...setups[name] });
        await visit(view, page);
        await accessible(view, `${page.name} (${name})`);
        await fits(view, `${page.name} (${name})`);
        if (name !== "reduced") return;
        const moving = await view.evaluate(() => [...document.querySelectorAll("*")].filter((element) => {
          const style = getComputedStyle(element);
          return style.animationName !== "none" || style.transitionDuration.split(",").some((time) => parseFloat(time) > 0) && style.transitionProperty !== "none";
        }).map((element) => `${element.tagName}.${element.className}`));
        assert.deepEqual([...new Set(moving)], [], `what moves on ${page.name} though less motion is asked for`);
      });
    }
  }
  view.calm();
  await view.context().close();
});

for (const language of ["it", "ar"]) {
  test(`text of twice the size at 360 px, ${language}`, async (t) => {
    const view = await look(large, { width: 360, language });
    for (const page of pages) {
      await t.test(page.name, async () => {
        await visit(view, page, language);
        const size = await view.evaluate(() => parseFloat(getComputedStyle(document.querySelector("main p, main li")).fontSize));
        assert.ok(size >= 32, `text of ${page.name} is ${size} px, though twice 16 is asked for`);
        await fits(view, `${page.name} (${language}, text of twice the size)`);
      });
    }
    await view.context().close();
  });
}

test("pages by Tab alone: everything is reached, in order, and is seen to be", async (t) => {
  for (const width of full ? [1280, 360] : [1280]) {
    // With less motion, scrolling takes no time.
    const view = await look(held, { width, reducedMotion: "reduce" });
    for (const page of pages) {
      await t.test(`${page.name} at ${width} px`, async () => {
        await visit(view, page);
        await tabbed(view, `${page.name} at ${width} px`);
      });
    }
    await view.context().close();
  }
});

test("pages without scripts are whole", async () => {
  const view = await look(held, { script: false });
  for (const page of pages) {
    await visit(view, page);
    await ordered(view, { what: `${page.name} without scripts` });
  }
  view.calm();
  await view.context().close();
});

after(() => console.log(`axe: ${counted.states} states, ${counted.passes} rules passed, no violation where the tests passed`));
