/** MD5 and SHA-256 of UTF-8 text, in plain JavaScript: they also work where `crypto.subtle` does not exist. */

/** Lone surrogates become U+FFFD, as everywhere else in the SDK. */
export const utf8 = (text: unknown): Uint8Array => new TextEncoder().encode(`${text}`);

/** The state after one block of sixteen words. */
type Compress = (state: number[], words: number[]) => number[];

/** Merkle–Damgård over 64-byte blocks; `little` is 1 for little-endian words. Prints the state as hex. */
const digest = (text: unknown, state: number[], little: number, compress: Compress): string => {
  const shift = (index: number): number => (little ? index & 3 : ~index & 3) * 8;
  const bytes = [...utf8(text), 128];
  const bits = (bytes.length - 1) * 8;
  const words: number[] = Array((((bytes.length + 71) >> 6) << 4)).fill(0);
  bytes.forEach((byte, index) => (words[index >> 2]! |= byte << shift(index)));
  words[words.length - 1 - little] = bits; // texts of 512 MB and more are not hashed in a browser
  for (; words[0] != null; ) {
    const before = state;
    state = compress(state, words.splice(0, 16)).map((value, index) => (value + before[index]!) | 0);
  }
  return state.map((value) =>
      [0, 1, 2, 3].map((index) => ((value >>> shift(index)) & 255 | 256).toString(16).slice(1)).join(""),
    ).join("");
};

export const md5 = (text: unknown): string =>
  digest(text, [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476], 1, ([a, b, c, d]: any, words) => {
    for (let i = 0; i < 64; i++) {
      const round = i >> 4;
      const [mix, index] = [
        [(b & c) | (~b & d), i],
        [(d & b) | (~d & c), i * 5 + 1],
        [b ^ c ^ d, i * 3 + 5],
        [c ^ (b | ~d), i * 7],
      ][round] as [number, number];
      const turn = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21][round * 4 + (i & 3)]!;
      const constant = (Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0;
      const sum = (a + mix + constant + words[index & 15]!) | 0;
      [a, d, c, b] = [d, c, b, b + ((sum << turn) | (sum >>> (32 - turn)))];
    }
    return [a, b, c, d];
  });

/** First 32 bits of the fraction of the `root`-th root of the first `count` primes. */
const primeRoots = (count: number, root: number): number[] => {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  return primes.map((prime) => (prime ** (1 / root) * 2 ** 32) | 0);
};

const turnedXor = (value: number, ...turns: number[]): number =>
  turns.reduce((mixed, turn) => mixed ^ ((value >>> turn) | (value << (32 - turn))), 0);

/** Not part of the surface: what the stub's deferred values resolve to. */
export const sha256Now = (text: unknown): string =>
  digest(text, primeRoots(8, 2), 0, ([a, b, c, d, e, f, g, h]: any, words) => {
    primeRoots(64, 3).forEach((constant, i) => {
      const sum = h + turnedXor(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + constant + words[i]!;
      const [near, far] = [words[i + 1]!, words[i + 14]!];
      words.push(
        (words[i]! +
          (turnedXor(near, 7, 18) ^ (near >>> 3)) +
          words[i + 9]! +
          (turnedXor(far, 17, 19) ^ (far >>> 10))) |
          0,
      );
      const total = sum + turnedXor(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + sum) | 0, c, b, a, total | 0];
    });
    return [a, b, c, d, e, f, g, h];
  });

export const sha256 = async (text: unknown): Promise<string> => sha256Now(text);
