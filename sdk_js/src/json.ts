/** JSON text that every parser accepts. */

/** Like JSON.stringify, but a lone surrogate becomes U+FFFD (a `\\` pair is skipped, so literal text survives). */
export const toJson = (value: unknown): string =>
  JSON.stringify(value).replace(/\\(\\|ud[89a-f]..)/g, (match) => (match[1] == "u" ? "\\ufffd" : match));
