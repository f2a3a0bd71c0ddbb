// What holds on every page of the portal, whatever it is about.
import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";

const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

// How many states axe looked at, and how many rules it passed.
export const counted = { states: 0, passes: 0 };

export async function accessible(page, what) {
  const { violations, passes } = await new AxeBuilder({ page }).setLegacyMode(true).options({ runOnly: tags, resultTypes: ["violations"] }).analyze();
  counted.states++;
  counted.passes += passes.length;
  const said = violations.flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id}: ${target} ${html.slice(0, 160)}`));
  assert.deepEqual(said, [], `axe on ${what}`);
}

// Nothing is wider than the window, so nobody has to scroll both ways (WCAG 1.4.10).
export async function fits(page, what) {
  const wide = await page.evaluate(() => {
    const limit = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= limit) return [];
    // What may scroll by itself does so.
    const within = (element) => element.closest(".scroll, .table-wide") !== null;
    return [...document.querySelectorAll("body *")]
      .filter((element) => !within(element) && (element.getBoundingClientRect().right > limit + 1 || element.getBoundingClientRect().left < -1))
      .map((element) => `${element.tagName}.${element.className}: ${element.textContent.trim().slice(0, 60)}`)
      .concat(`${document.documentElement.scrollWidth} px wide of ${limit}`);
  });
  assert.deepEqual(wide.slice(-8), [], `what is too wide on ${what}`);
}

// Landmarks, headings and the language of a page.
export async function ordered(page, { language = "it", what }) {
  const found = await page.evaluate(() => {
    const shown = (element) => element.checkVisibility();
    const named = (element) => (element.getAttribute("aria-label") ?? document.getElementById(element.getAttribute("aria-labelledby"))?.textContent ?? "").trim();
    const top = (name) => [...document.querySelectorAll(name)].filter((element) => shown(element) && !element.parentElement.closest("article,aside,main,nav,section"));
    return {
      lang: document.documentElement.lang,
      dir: document.documentElement.dir,
      title: document.title,
      mains: document.querySelectorAll("main").length,
      banners: top("header").length,
      infos: top("footer").length,
      navs: [...document.querySelectorAll("nav")].filter(shown).map(named),
      headings: [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].filter(shown).map((heading) => [Number(heading.tagName[1]), heading.textContent.trim(), heading.closest("[role=alert]") !== null]),
      skip: document.querySelector("a[href]")?.getAttribute("href"),
      ids: [...document.querySelectorAll("[id]")].map(({ id }) => id).filter((id, i, all) => all.indexOf(id) !== i),
    };
  });
  assert.equal(found.lang, language, `language of ${what}`);
  assert.equal(found.dir || "ltr", language === "ar" ? "rtl" : "ltr", `direction of ${what}`);
  assert.ok(found.title.length > 3, `title of ${what}`);
  assert.deepEqual([found.mains, found.banners, found.infos], [1, 1, 1], `main, banner and contentinfo of ${what}`);
  assert.ok(found.navs.length > 0 && found.navs.every(Boolean) && new Set(found.navs).size === found.navs.length, `names of the navigations of ${what}: ${found.navs}`);
  assert.deepEqual(found.headings.filter(([level]) => level === 1).length, 1, `one h1 on ${what}`);
  // Only what is wrong is said before the title.
  assert.equal(found.headings.find(([, , alert]) => !alert)[0], 1, `the first heading of ${what} is its title: ${found.headings[0]}`);
  found.headings.forEach(([level, text], i) => {
    assert.ok(text, `an empty heading on ${what}`);
    if (i > 0) assert.ok(level <= found.headings[i - 1][0] + 1, `from h${found.headings[i - 1][0]} to h${level} «${text}» on ${what}`);
  });
  assert.equal(found.skip, "#contenuto", `the first link of ${what} leads to its content`);
  assert.deepEqual(found.ids, [], `ids that are there twice on ${what}`);
}

// What the law and Modello Comuni want on every page.
export async function complete(page, { unrated, what }) {
  const links = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll("a[data-element]")].map((link) => [link.dataset.element, new URL(link.href).pathname])));
  for (const [name, path] of Object.entries({ faq: "/domande-frequenti/", "report-inefficiency": "/chiedi/", "accessibility-link": "/accessibilita/", "privacy-policy-link": "/privacy/" })) {
    assert.ok(links[name]?.endsWith(path), `${name} on ${what} leads to ${links[name]}`);
  }
  if (unrated) return;
  const feedback = await page.evaluate(() => ["feedback", "feedback-title", ...[1, 2, 3, 4, 5].map((n) => `feedback-rate-${n}`)].filter((name) => !document.querySelector(`[data-element="${name}"]`)));
  assert.deepEqual(feedback, [], `what the rating lacks on ${what}`);
}

// Goes through a page by Tab alone. All that can have the focus gets it, in an order that is the document's, and shows it.
export async function tabbed(page, what) {
  const stops = await page.evaluate(() => {
    // From the top, wherever the focus was.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    scrollTo(0, 0);
    window.visited = [];
    const groups = new Set();
    return [...document.querySelectorAll("a[href],button,input,select,textarea,summary,[tabindex]")].filter((element) => {
      if (element.tabIndex < 0 || element.disabled || !element.checkVisibility()) return false;
      // Of a group of radio buttons one is a stop.
      if (element.type !== "radio") return true;
      return !groups.has(element.name) && groups.add(element.name);
    }).length;
  });
  for (let i = 0; i < stops; i++) {
    await page.keyboard.press("Tab");
    // Day, month and year of a date are stops of their own, inside one field.
    for (let parts = 0; parts < 4 && await page.evaluate(() => document.activeElement.type === "date" && window.visited.at(-1) === document.activeElement); parts++) await page.keyboard.press("Tab");
    const wrong = await page.evaluate(() => {
      const target = document.activeElement;
      const before = window.visited.at(-1);
      const again = window.visited.includes(target);
      window.visited.push(target);
      const style = getComputedStyle(target);
      const box = target.getClientRects()[0] ?? target.getBoundingClientRect();
      const at = document.elementFromPoint(box.x + box.width / 2, Math.max(0, box.y) + Math.min(box.height, innerHeight) / 2);
      const said = [];
      if (target === document.body) said.push("the page lost the focus");
      if (again) said.push("reached twice");
      if (before && !(before.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_FOLLOWING)) said.push("out of order");
      if (!(style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) && style.boxShadow === "none") said.push("the focus cannot be seen");
      if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) said.push("outside the window");
      else if (at !== target && !target.contains(at) && !at?.contains(target)) said.push(`covered by ${at?.outerHTML.slice(0, 80)}`);
      return said.length ? `${said.join(", ")}: ${target.outerHTML.slice(0, 120)}` : "";
    });
    assert.equal(wrong, "", `stop ${i + 1} of ${stops} on ${what}`);
  }
  return stops;
}
