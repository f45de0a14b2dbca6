/** Who this browser says it is: uid, device, the event counter, and what the visitor decided about being recorded. */

import { readCookie, writeCookie } from "./cookies";
import { uuidv7 } from "./ids";
import { lastSeq } from "./queue";

/** The highest number of the event counter that is known to be taken. */
let seq = 0;
let renewed = false;

const NAME = "_regulars";
const LIFETIME_S = 395 * 86_400;

/** Decisions, as the cookie holds them; "" while the visitor was asked nothing. */
export const GRANTED = 1;
export const DENIED = 2;

/** Cookie `_regulars`: decision.uid.origin.device.seq; `2` alone after a denial. */
export type Person = [decision?: number | "", uid?: string, origin?: string, device?: string, seq?: number];

/** What is kept, without minting or storing anything. */
export const readPerson = (): Person => readCookie(NAME) as unknown as Person;

/**
 * The person of now, with the next number of the event counter; minted with birth time `at` (ms) where there is none.
 * `decision` and `reset` change it.
 */
export const personAt = (at: number, reset?: boolean, decision?: typeof GRANTED): Person => {
  const person = readPerson();
  seq = Math.max(seq, +person[4]! || 0, renewed ? 0 : lastSeq()) + 1;
  if (reset || !person[1]) {
    person[1] = uuidv7(at);
    person[2] = reset ? "reset" : "first";
    renewed = false;
  }
  person[0] = decision || person[0]!;
  person[3] = person[3] || uuidv7(at);
  person[4] = seq;
  // Written once a page, so that the cookie's life rolls on, and whenever it says something new.
  if (!renewed || decision) writeCookie(NAME, person, LIFETIME_S);
  renewed = true;
  return person;
};

/** Forgets every id; what stays says `denied`, or nothing where recording must be granted anyway. */
export const forgetPerson = (remember: boolean): void =>
  writeCookie(NAME, [remember ? DENIED : ""], remember ? LIFETIME_S : 0);

/** Writes the counter down, before the page may go away. */
export const savePerson = (): void => {
  renewed = false;
  if (readPerson()[1]) personAt(0);
};
