/** Events that wait to be sent: one stored value per event, in the order of this browser's counter. */

import type { Debug } from "./debug";
import { utf8 } from "./hash";
import { birthTime } from "./ids";
import type { Store } from "./storage";

export const MAX_EVENTS = 1_000;
export const MAX_SIZE = 1_000_000;
export const MAX_BATCH_BYTES = 60_000;
const MAX_AGE_MS = 7 * 86_400_000;
// An event "older" than this was tracked by a clock that has been set right since: it is sent, not expired.
const CLOCK_JUMP_MS = 365 * 86_400_000;
const DROPPED = "d";

/** e + counter + 1 for a valuable event, else 0 + event id + device: sorting keys sorts events. */
const keyOf = (seq: number, valuable: boolean, eventId: string, device: string): string =>
  "e" + seq.toString(36).padStart(8, "0") + +valuable + eventId + device;

export const deviceOf = (key: string): string => key.slice(46);

export interface Queue {
  /** Keeps an event (JSON text) and returns its key. */
  append_(seq: number, valuable: boolean, eventId: string, device: string, event: string): string;
  /** Keys of the oldest events, of one device, that `wanted` agrees to: at most `count`, together at most `bytes`. */
  take_(count: number, bytes: number, wanted: (key: string) => boolean): string[];
  /** Gives one event up, and counts it. */
  drop_(key: string, why: string): void;
  /** Counts events that were never kept. */
  countDropped_(count: number): void;
  /** How many events were given up since the last call. */
  takeDropped_(): number;
  /** The highest counter value among waiting events, 0 without any. */
  lastSeq_(): number;
}

export const createQueue = (store: Store, debug: Debug, now: () => number): Queue => {
  let events = 0; // how many wait, as of the last look, plus what this tab added; the same for their size
  let size = 0;
  const keys = (): string[] => store.keys_("e");
  const dropped = (): number => +store.get_(DROPPED)! || 0;
  const countDropped = (count: number): void => store.set_(DROPPED, dropped() + count);
  const drop = (key: string, why: string): void => {
    // What it would have reported is still owed.
    countDropped(1 + +(/"dropped":(\d+)}$/.exec(store.get_(key)!)?.[1] || 0));
    store.remove_(key);
    debug.note_("dropped", `Event ${key.slice(10, 46)} given up: ${why}`);
  };
  /** All waiting keys in order, after the oldest were given up, first those of low value, until the bounds hold. */
  const look = (): string[] => {
    const all = keys();
    const sizeOf = (key: string): number => (store.get_(key) || "").length;
    events = all.length;
    size = all.reduce((sum, key) => sum + sizeOf(key), 0);
    for (const key of all.sort((a, b) => +a[9]! - +b[9]!)) {
      const age = now() - birthTime(key.slice(10));
      if ((age > MAX_AGE_MS && age < CLOCK_JUMP_MS) || events > MAX_EVENTS || size > MAX_SIZE) {
        events--;
        size -= sizeOf(key);
        drop(key, "too old, or too many wait");
      }
    }
    return keys();
  };
  return {
    append_(seq, valuable, eventId, device, event) {
      const key = keyOf(seq, valuable, eventId, device);
      store.set_(key, event);
      events++;
      size += event.length;
      if (utf8(event).length > MAX_BATCH_BYTES) drop(key, "larger than 60 kB");
      if (events > MAX_EVENTS || size > MAX_SIZE) look();
      return key;
    },
    take_(count, bytes, wanted) {
      const taken: string[] = [];
      for (const key of look().filter(wanted)) {
        bytes -= utf8(store.get_(key)).length + 1;
        if (bytes < 0 || taken.length == count || deviceOf(key) != deviceOf(taken[0] || key)) break;
        taken.push(key);
      }
      return taken;
    },
    drop_: drop,
    countDropped_: countDropped,
    takeDropped_() {
      const count = dropped();
      store.remove_(DROPPED);
      return count;
    },
    lastSeq_: () => parseInt((keys().pop() || "").slice(1, 9), 36) || 0,
  };
};
