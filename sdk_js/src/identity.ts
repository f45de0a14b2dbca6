/** Who this browser says it is: uid, device, the event counter, and what the visitor decided about being recorded. */

import type { Cookies } from "./cookies";
import { uuidv7 } from "./ids";

const NAME = "_regulars";
const LIFETIME_S = 395 * 86_400;

/** Decisions, as the cookie holds them; a visitor who was not asked has `0`. */
export const GRANTED = "1";
export const DENIED = "2";

/** Cookie `_regulars`: decision.uid.origin.device.seq; `2` alone after a denial. */
export type Person = [decision?: string, uid?: string, origin?: string, device?: string, seq?: string];

export interface Identity {
  /** What is kept, without minting or storing anything. */
  read_(): Person;
  /** The person of now, minted with birth time `at` (ms) where there is none; `decision` and `reset` change it. */
  person_(at: number, decision?: string, reset?: boolean): Person;
  /** The next number of this browser's event counter. */
  nextSeq_(): number;
  /** Forgets every id; what stays says `denied`, or nothing where recording must be granted anyway. */
  deny_(remember: boolean): void;
  /** Writes the counter down, before the page may go away. */
  save_(): void;
}

/** `seq` is the highest number that is known to be taken. */
export const createIdentity = (cookies: Cookies, seq: number): Identity => {
  let renewed = false;
  const read = (): Person => cookies.read_(NAME) as Person;
  const person = (at: number, decision?: string, reset?: boolean): Person => {
    let [decided, uid, origin, device, counted] = read();
    seq = Math.max(seq, +counted! || 0);
    if (reset || !uid) {
      uid = uuidv7(at);
      origin = reset ? "reset" : "first";
      renewed = false;
    }
    device = device || uuidv7(at);
    const known: Person = [decision || decided || "0", uid, origin, device];
    // Written once a page, so that the cookie's life rolls on, and whenever it says something new.
    if (!renewed || decision) cookies.write_(NAME, [...known, seq], LIFETIME_S);
    renewed = true;
    return known;
  };
  return {
    read_: read,
    person_: person,
    nextSeq_: () => ++seq,
    deny_: (remember) => cookies.write_(NAME, remember ? [DENIED] : [], remember ? LIFETIME_S : 0),
    save_() {
      renewed = false;
      if (read()[1]) person(0);
    },
  };
};
