/** Events that wait to be sent: one stored value per event, in the order of this browser's counter. */

import { note } from "./debug";
import { utf8 } from "./hash";
import { birthTime } from "./ids";
import { forget, keysOf, load, save } from "./storage";

export const MAX_EVENTS = 1_000;
export const MAX_SIZE = 1_000_000;
/** Half of what all keepalive requests of a page may carry together: one batch, and one more when the page hides. */
export const MAX_BATCH_BYTES = 32_000;
const MAX_AGE_MS = 7 * 86_400_000;
const DROPPED = "d";

// What waits, as of the last look (none yet), plus what this tab added: so that not every call counts a long queue.
let count = Infinity;
let size = 0;

/** e + 1 and nine digits of counter + 1 for a valuable event, else 0 + event id + device: sorting keys sorts events. */
export const keyOf = (seq: number, valuable: boolean, eventId: string, device: string): string =>
  "e" + (1e9 + seq) + +valuable + eventId + device;

export const deviceOf = (key: string): string => key.slice(48);

/** The highest counter value among waiting events, 0 without any. */
export const lastSeq = (): number => +(keysOf("e").pop() || "").slice(2, 11);

export const countDropped = (count: number): void => save(DROPPED, +load(DROPPED) + count);

/** How many events were given up since the last call; undefined for none. */
export const takeDropped = (): number | undefined => {
  const count = +load(DROPPED) || undefined;
  forget(DROPPED);
  return count;
};

/** Gives one event up, and counts it, and what it would have reported. */
export const drop = (key: string, why: string): void => {
  countDropped(1 + +(/"dropped":(\d+)}$/.exec(load(key))?.[1] || 0));
  forget(key);
  note("dropped", why, key);
};

/** Gives up what is too old or too much: the oldest first, and those of low value before all others. */
const trim = (): void => {
  count = size = 0;
  for (const key of keysOf("e").sort((a, b) => (a[11] as any) - (b[11] as any)).reverse()) {
    const { length } = load(key);
    const fits = count < MAX_EVENTS && size + length <= MAX_SIZE;
    if (fits && Date.now() - birthTime(key.slice(12)) < MAX_AGE_MS) {
      count++;
      size += length;
    } else drop(key, "too old or too many");
  }
};

/** Keeps an event (JSON text) under its key. */
export const append = (key: string, event: string): void => {
  save(key, event);
  count++;
  size += event.length;
  if (utf8(event).length > MAX_BATCH_BYTES) drop(key, "too large");
  if (count > MAX_EVENTS || size > MAX_SIZE) trim();
};

/** Keys of the oldest events, of one device, that `wanted` agrees to: at most `count`, together at most 32 kB. */
export const take = (count: number, wanted: (key: string) => boolean): string[] => {
  const taken: string[] = [];
  let bytes = 0;
  for (const key of keysOf("e").filter(wanted)) {
    bytes += utf8(load(key)).length + 1;
    if (bytes > MAX_BATCH_BYTES || taken.length == count || deviceOf(key) != deviceOf(taken[0] || key)) break;
    taken.push(key);
  }
  return taken;
};
