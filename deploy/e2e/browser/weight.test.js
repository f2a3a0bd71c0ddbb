// What a first visit costs on a poor connection: everything that comes over the wire, heads and fonts included, compressed as it is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, inLanguage, look } from "./portal.js";

const held = browser();
const most = 120_000; // bytes
const visits = [["home", "/"], ["card", "/servizi/marsala/asacom"], ["card with criteria", "/servizi/marsala/trasporto-disabili"], ["results", "/servizi/?q=pulmino"], ["request", "/chiedi/"]];

for (const language of ["it", "ar"]) {
  test(`a first visit weighs at most ${most / 1000} kB (${language})`, async (t) => {
    for (const [name, path] of visits) {
      await t.test(name, async () => {
        const page = await look(held, { width: 360, language });
        const protocol = await page.context().newCDPSession(page);
        const names = new Map();
        let total = 0;
        const parts = [];
        protocol.on("Network.requestWillBeSent", ({ requestId, request }) => names.set(requestId, request.url));
        protocol.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
          total += encodedDataLength;
          parts.push(`${new URL(names.get(requestId)).pathname.split("/").at(-1) || "page"} ${encodedDataLength}`);
        });
        await protocol.send("Network.enable");
        const answer = await page.goto(inLanguage(language, path), { waitUntil: "networkidle" });
        assert.equal(answer.status(), 200);
        console.log(`weight: ${name} (${language}): ${(total / 1000).toFixed(1)} kB: ${parts.join(", ")}`);
        assert.ok(parts.some((part) => part.includes(".woff2")), "fonts are counted");
        assert.ok(total <= most, `${total} bytes: ${parts.join(", ")}`);
        page.calm();
        await page.context().close();
      });
    }
  });
}
