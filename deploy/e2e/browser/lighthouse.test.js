// Lighthouse on its mobile profile. The machine's other work only ever makes a page look slower, so of up to three runs the best counts.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { base, chromiumPath, flags, full } from "./portal.js";

const run = promisify(execFile);
const least = { performance: 95, accessibility: 100, "best-practices": 100, seo: 100 };
const visits = [["home", "/"], ["results", "/servizi/?q=pulmino"], ["card", "/servizi/marsala/asacom"]];

test("Lighthouse", { skip: !full && "in the full run only" }, async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), "lighthouse-"));
  try {
    for (const [name, address] of visits) {
      await t.test(name, async () => {
        let best;
        for (let i = 0; i < 3 && !(best?.performance >= least.performance); i++) {
          const file = path.join(dir, `${name}-${i}.json`);
          await run(path.join(import.meta.dirname, "node_modules/.bin/lighthouse"), [
            base + address, "--quiet", "--no-enable-error-reporting", "--output=json", `--output-path=${file}`, `--only-categories=${Object.keys(least)}`, `--chrome-flags=${flags.join(" ")}`,
          ], { env: { ...process.env, CHROME_PATH: chromiumPath }, timeout: 90_000 });
          const report = JSON.parse(await readFile(file, "utf8"));
          const scores = Object.fromEntries(Object.entries(report.categories).map(([id, { score }]) => [id, Math.round(score * 100)]));
          const failed = Object.values(report.audits).filter(({ score, scoreDisplayMode }) => scoreDisplayMode === "binary" && score === 0).map(({ id }) => id);
          console.log(`Lighthouse: ${name}: ${Object.entries(scores).map(([id, score]) => `${id} ${score}`).join(", ")}; first paint ${report.audits["first-contentful-paint"].displayValue}, largest ${report.audits["largest-contentful-paint"].displayValue}${failed.length ? `; failed: ${failed}` : ""}`);
          if (!best || scores.performance > best.performance) best = { ...scores, failed };
        }
        for (const [category, score] of Object.entries(least)) assert.ok(best[category] >= score, `${category} of ${name} is ${best[category]}: ${best.failed}`);
      });
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
