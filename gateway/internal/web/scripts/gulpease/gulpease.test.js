import assert from "node:assert/strict";
import test from "node:test";
import { index, wordsOf } from "./gulpease.js";

// The cases of the Go package: letters, words, sentences.
const cases = [
  ["Precipitevolissimevolmente intergovernativizzazioni.", 50, 2, 1],
  ["Il centro apre alle 9. Si entra dal cortile.", 34, 9, 2],
  ["Il centro apre alle 9. Si entra dal cortile", 34, 9, 2],
  ["Serve il verbale della L. 104/1992, art. 3, comma 3.", 37, 11, 1],
  ["Costa 1.500 euro, più o meno.", 21, 7, 1],
  ["«Che cosa ti serve?» Diccelo tu.", 23, 6, 2],
  ["Chiama.\n1 euro al giorno.\n\nTelefona prima", 32, 7, 3],
  ["L'ufficio dell'ospedale", 20, 4, 1],
  ["Vai alla porta. A", 13, 4, 2],
  ["Perche\u0301 no", 8, 2, 1],
];

for (const [text, letters, words, sentences] of cases) {
  test(text, () => {
    const want = Math.min(Math.max(89 + (300 * sentences - 10 * letters) / words, 0), 100);
    assert.ok(Math.abs(index(text) - want) < 0.001, `${index(text)}, want ${want}`);
    assert.equal(wordsOf(text), words);
  });
}

test("a text without words is easy", () => {
  assert.equal(index(""), 100);
  assert.equal(index(" … – !\n"), 100);
});
