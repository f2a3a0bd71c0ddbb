// A person who asks the desk of a comune something.
import assert from "node:assert/strict";

// What follows leads to another page.
export async function go(page, act) {
  const [answer] = await Promise.all([page.waitForNavigation(), act()]);
  return answer;
}

// Answers one question after the other, until all is there to check. Each page is looked at before it is left.
export async function write(page, { comune, text }, each = async () => {}) {
  const began = Date.now();
  const answers = { comune, tipo: "informazioni", per: "me", canale: "code_only" };
  for (let i = 0; i < 12; i++) {
    const step = await page.locator("form[data-draft]").getAttribute("data-draft");
    await each(step);
    if (step === "controlla") {
      // Who is done within three seconds is taken for a program.
      await page.waitForTimeout(Math.max(0, 3200 - (Date.now() - began)));
      return;
    }
    for (const [name, value] of Object.entries(answers)) {
      const choice = page.locator(`input[type=radio][name="${name}"][value="${value}"]`);
      if (await choice.count()) await choice.check();
    }
    if (await page.locator("#testo").count()) await page.locator("#testo").fill(text);
    await go(page, () => page.locator("form[data-draft] .actions .btn-primary").click());
  }
  assert.fail(`the questions do not end: ${page.url()}`);
}

export const send = (page) => go(page, () => page.locator('.actions button[name="vai"][value="invia"]').click());
