/** UUIDv7: 48 bits of time in ms, then random digits. */

import { attempt } from "./attempt";

/** Bytes that differ from tab to tab. A page without crypto still needs ids; nothing secret hangs on them. */
const randomBytes = (count: number): Uint8Array =>
  attempt(() => crypto.getRandomValues(new Uint8Array(count))) || new Uint8Array(count).map(() => Math.random() * 256);

/** A fresh id whose birth time is `at` (ms epoch). */
export const uuidv7 = (at: number): string => {
  const random = [...randomBytes(18)];
  return at
    .toString(16)
    .padStart(12, "0")
    .replace(/.{4}$/, "-$&-7xxx-8xxx-xxxxxxxxxxxx")
    .replace(/x/g, () => (random.pop()! & 15).toString(16));
};

/** The time (ms epoch) an id was minted at. */
export const birthTime = (id: string): number => parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
