/** Readable lines about what the SDK does: to the console, or to a listener such as a panel on the page. */

import { attempt } from "./attempt";
import type { DebugEntry, DebugListener } from "./surface";

const REMEMBERED = 50;

let listener: DebugListener | "" | 0 | false | null | undefined;
let recent: DebugEntry[] = [];

const print: DebugListener = ({ kind, text, data }) => console.log("[regulars]", kind, text, data);
const tell = (entry: DebugEntry): unknown => attempt(() => listener && listener(entry));

export const note = (kind: DebugEntry["kind"], text: string, data?: unknown): void => {
  const entry = { kind, text, data };
  recent = [...recent, entry].slice(-REMEMBERED);
  tell(entry);
};

/** The public `debug(on)`: true, false or a function; a new listener gets the recent entries first. */
export const listen = (_at: number, on?: DebugListener | boolean | "" | 0 | null): void => {
  listener = (on as DebugListener)?.call ? (on as DebugListener) : on && print;
  recent.forEach(tell);
};

/** Runs what must not break the page: what it throws, at once or later, becomes a note. */
export const guard = async <T>(work: () => T | Promise<T>): Promise<T | undefined> => {
  try {
    return await work();
  } catch (error) {
    note("error", `${error}`);
  }
};
