/** MD5 in plain JavaScript, SHA-256 through the browser, both of UTF-8 text and as lower-case hex. */

/** Lone surrogates become U+FFFD, as everywhere else in the SDK. */
export const utf8 = (text: unknown): Uint8Array => new TextEncoder().encode(`${text}`);

/** Of an array's bytes, or a buffer's; "" of none. */
export const hex = (bytes?: Iterable<number> | ArrayBuffer): string =>
  [...new Uint8Array(bytes as ArrayBuffer)].map((byte) => (byte | 256).toString(16).slice(1)).join("");

/** Typed arrays hold words as MD5 wants them: every machine that runs a browser is little-endian. */
export const md5 = (text: unknown): string => {
  const bytes = utf8(text);
  const end = ((bytes.length + 72) >> 6) * 16;
  const words = new Uint32Array(end);
  const padded = new Uint8Array(words.buffer);
  padded.set([...bytes, 128]);
  words[end - 2] = bytes.length * 8; // nobody hashes 512 MB in a browser
  const state = Int32Array.of(0x67452301, 0xefcdab89, ~0x67452301, ~0xefcdab89);
  for (let block = 0; block < end; block += 16) {
    let [a, b, c, d] = state as unknown as [number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const [mix, index, ...turns] = [
        [(b & c) | (~b & d), i, 7, 12, 17, 22],
        [(d & b) | (~d & c), i * 5 + 1, 5, 9, 14, 20],
        [b ^ c ^ d, i * 3 + 5, 4, 11, 16, 23],
        [c ^ (b | ~d), i * 7, 6, 10, 15, 21],
      ][i >> 4] as [number, number, ...number[]];
      const turn = turns[i & 3]!;
      const constant = (Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0;
      const sum = a + mix + constant + words[block + (index & 15)]!;
      [a, d, c, b] = [d, c, b, (b + ((sum << turn) | (sum >>> (32 - turn)))) | 0];
    }
    [a, b, c, d].forEach((value, index) => (state[index]! += value));
  }
  return hex(state.buffer);
};

/** "" on an insecure origin, where browsers do not offer it: no identifier, and no error in the page. */
export const sha256 = async (text: unknown): Promise<string> =>
  hex(await crypto.subtle?.digest("SHA-256", utf8(text) as BufferSource));
