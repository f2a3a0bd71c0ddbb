// People of a comune at work: each with a role, at the portal of their own node.
import assert from "node:assert/strict";
import { go } from "./asking.js";
import { desk, soon } from "./portal.js";

// The accounts of the demo: node, login and password by "comune/login".
export const people = Object.fromEntries(Object.entries(JSON.parse(process.env.CID_PEOPLE ?? "{}")).map(([who, one]) => [who, Object.fromEntries(Object.entries(one).map(([key, value]) => [key.toLowerCase(), value]))]));
const mail = process.env.CID_MAIL;
const control = process.env.CID_NODE_CONTROL;

// Signs in with the form that is on the page.
export async function fillSignIn(page, who) {
  const { node, login, password } = people[who];
  await page.locator("select#nodo").selectOption(node.replace("nodes/", ""));
  await page.locator("input[autocomplete=username]").fill(login);
  await page.locator("input[type=password]").fill(password);
  return go(page, () => page.locator("main form button[type=submit]").first().click());
}

export async function signIn(page, who, at = desk) {
  await page.goto(`${at}/accesso/`);
  await fillSignIn(page, who);
  assert.match(await page.locator("h1").textContent(), /Accesso effettuato/, `${who} is signed in`);
}

// Presses a button of a form by its value.
export const press = (page, value, within = "main") => go(page, () => page.locator(`${within} button[value="${value}"]:not([aria-hidden])`).first().click());

export const done = async (page, what) => assert.ok(await page.locator("main .alert-success").count(), `${what}: ${await page.locator("main [role=alert]").allTextContents()}`);

// What came by e-mail for somebody, once there is something.
export const letters = (to, count = 1) => soon(async () => {
  const found = await (await fetch(`${mail}/?to=${encodeURIComponent(to)}`)).json();
  assert.ok(found.length >= count, `letters for ${to}: ${found.length}`);
  return found.map(({ Text }) => Text);
});

const ordered = async (what) => {
  const answer = await fetch(`${control}/${what}`, { method: "POST", signal: AbortSignal.timeout(60_000) });
  assert.equal(answer.status, 200, await answer.text());
};
// The node of Marsala stops, and starts again.
export const stopNode = () => ordered("stop");
export const startNode = () => ordered("start");
