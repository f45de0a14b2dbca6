/** UUIDv7: 48 bits of time in ms, then random digits. */

import { attempt } from "./attempt";
import { hex } from "./hash";

/** A fresh id whose birth time is `at` (ms epoch). */
export const uuidv7 = (at: number): string => {
  // A page without crypto still needs ids; nothing secret hangs on them.
  const random = new Uint8Array(9).map(() => Math.random() * 256);
  attempt(() => crypto.getRandomValues(random));
  const digits = at.toString(16).padStart(12, "0") + hex(random);
  return digits.replace(/(.{8})(.{4})(...)(...)/, "$1-$2-7$3-8$4-");
};

/** The time (ms epoch) an id was minted at. */
export const birthTime = (id: string): number => parseInt(id.replace("-", ""), 16);
