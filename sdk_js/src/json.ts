/** JSON text that every parser accepts. */

/** Like JSON.stringify, but a lone surrogate becomes U+FFFD (`\\` pairs are passed over, so literal text survives). */
export const toJson = (value: unknown): string =>
  JSON.stringify(value).replace(/(\\\\)|\\ud[89a-f]../g, (_, pair) => pair || "\\ufffd");
