// The portal under test, and browsers to look at it with. The demo that runs is named as its own commands name it: CID_HTTP_ADDR,
// CID_DATA_DIR, and CID_DEMO for the program that cuts, heals and signs in.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { after } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const here = import.meta.dirname;
const repository = path.join(here, "../../..");
export const base = `http://${process.env.CID_HTTP_ADDR ?? "127.0.0.1:8080"}`;
// The gateway of Marsala's own node: requests are read and answered there alone.
export const desk = `http://${process.env.CID_DESK_ADDR}`;
const demo = path.resolve(process.env.CID_DEMO ?? path.join(repository, "bin/cid-demo"));
const data = path.resolve(process.env.CID_DATA_DIR ?? path.join(repository, ".demo"));
// Where screenshots are kept for a person to look at.
export const shots = path.resolve(process.env.SHOTS ?? path.join(here, "shots"));
// The whole matrix, which `make browser-full` runs.
export const full = process.env.BROWSER_FULL === "1";

export const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const run = promisify(execFile);
const command = async (...args) => (await run(demo, ["--data", data, ...args], { env: { ...process.env, CID_HTTP_ADDR: new URL(base).host }, timeout: 20_000 })).stdout.trim();
export const cut = (comune) => command("cut", comune);
export const heal = (comune) => command("heal", comune);

const tokens = new Map();
// An operator's access token, good for five minutes.
async function token(comune) {
  const known = tokens.get(comune);
  if (known && Date.now() - known.at < 180_000) return known.text;
  const text = await command("token", comune);
  tokens.set(comune, { text, at: Date.now() });
  return text;
}

// Asks the REST edge; as an operator of a comune when one is named.
export async function rest(method, resource, { body, as, at = base } = {}) {
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (as) headers.Authorization = `Bearer ${await token(as)}`;
  const answer = await fetch(at + resource, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(20_000) });
  return { status: answer.status, body: await answer.json() };
}

// Repeats a check until it holds, at most for a while; the last reason is told when it never does.
export async function soon(check, within = 25_000) {
  const end = Date.now() + within;
  for (;;) {
    try {
      return await check();
    } catch (reason) {
      if (Date.now() > end) throw reason;
      await new Promise((done) => { setTimeout(done, 200); });
    }
  }
}

// A browser for the tests of a file, started for the first page and closed after the last.
export function browser(...more) {
  const held = {
    started: undefined,
    start: async () => {
      await mkdir(shots, { recursive: true });
      return chromium.launch({ executablePath: chromiumPath, headless: true, args: [...flags, ...more] });
    },
  };
  after(async () => { await (await held.started)?.close(); });
  return held;
}

// Opens a page that tells what browsers complain about: errors on the console, violations of the content security policy, and
// requests to anybody else. A page that is refused on purpose names its status in `refused`.
export async function look(held, { width = 1280, language = "it", script = true, at = base, ...media } = {}) {
  held.started ??= held.start();
  const context = await (await held.started).newContext({
    viewport: { width, height: width < 600 ? 740 : 900 }, locale: language, javaScriptEnabled: script, baseURL: at, ...media,
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    if (/Failed to load resource.* (40\d|42\d|503)/.test(message.text()) && message.location().url === page.url()) return; // the status of the page itself, which tests assert
    complaints.push(`${page.url()}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: script: ${error.message}`));
  page.on("dialog", async (dialog) => { complaints.push(`${page.url()}: a dialog: ${dialog.message()}`); await dialog.dismiss(); });
  context.on("request", (request) => {
    if (!request.url().startsWith(`${at}/`) && !request.url().startsWith("data:")) complaints.push(`${page.url()}: asked somebody else: ${request.url()}`);
  });
  page.calm = () => assert.deepEqual(complaints, [], "what the browser complained about");
  page.shot = (name) => page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
  return page;
}

// The address of a page in a language.
export const inLanguage = (language, address) => (language === "it" ? address : `/${language}${address}`);
