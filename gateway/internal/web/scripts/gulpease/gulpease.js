// How easy an Italian text is to read: the Gulpease index, as the gateway's package gulpease counts it.
const notOfWords = /[^\p{L}\p{M}\p{Nd}]+/u;
const boundary = /[.!?…]["»”)]?(?:[\t\n\f\r ]+["«“(]?\p{Lu}|[\t\f\r ]*\n)/gu;

// index is from 0 to 100; a text without words has 100.
export function index(text) {
  let letters = 0;
  let words = 0;
  for (const word of text.split(notOfWords)) {
    const own = [...word.replace(/\p{M}/gu, "")].length;
    letters += own;
    if (own > 0) words++;
  }
  if (words === 0) return 100;
  const sentences = 1 + (text.trim().match(boundary) ?? []).length;
  return Math.min(Math.max(89 + (300 * sentences - 10 * letters) / words, 0), 100);
}

// wordsOf counts the words: the index means something from about ten on.
export const wordsOf = (text) => text.split(notOfWords).filter(Boolean).length;
