/** Readable lines about what the SDK does: to the console, or to a listener such as a panel on the page. */

import { attempt } from "./attempt";
import type { DebugEntry, DebugListener } from "./surface";

const REMEMBERED = 50;

export interface Debug {
  note_(kind: DebugEntry["kind"], text: string, data?: unknown): void;
  /** Runs what must not break the page: what it throws, at once or later, becomes a note. */
  guard_<T>(work: () => T | Promise<T>): Promise<T | undefined>;
  /** The public `debug(on)`: a new listener gets the recent entries first. */
  listen_(on: unknown): void;
}

const print: DebugListener = ({ kind, text, data }) => console.log(`[regulars] ${kind}: ${text}`, data ?? "");

export const createDebug = (): Debug => {
  const recent: DebugEntry[] = [];
  let listener: unknown;
  const tell = (entry: DebugEntry): unknown =>
    attempt(() => listener && (typeof listener == "function" ? listener : print)(entry));
  const note: Debug["note_"] = (kind, text, data) => {
    const entry = { kind, text, data };
    recent.push(entry);
    recent.splice(0, recent.length - REMEMBERED);
    tell(entry);
  };
  return {
    note_: note,
    async guard_(work) {
      try {
        return await work();
      } catch (error) {
        note("error", `${error}`);
        return undefined;
      }
    },
    listen_(on) {
      listener = on;
      recent.forEach(tell);
    },
  };
};
