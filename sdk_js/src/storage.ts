/** Small values that outlive the page: localStorage, or memory where it is blocked or full. */

import { attempt } from "./attempt";
import { settings } from "./settings";

// Merely naming localStorage throws where storage is blocked.
const disk: Record<string, string | number> = attempt(() => localStorage) || {};
const memory: Record<string, string | number> = {};

/** One key per value: tabs never rewrite what another tab wrote. */
const full = (key: string): string => `_regulars:${settings.site}:${key}`;

export const load = (key: string): string => (memory[full(key)] ?? disk[full(key)] ?? "") as string;

export const forget = (key: string): void => {
  delete memory[full(key)];
  delete disk[full(key)];
};

export const save = (key: string, value: string | number): void => {
  delete memory[full(key)];
  attempt(() => (disk[full(key)] = value)) ?? (memory[full(key)] = value);
};

/** Every key that begins with `start`, in order. */
export const keysOf = (start: string): string[] =>
  [...Object.keys(memory), ...Object.keys(disk)]
    .filter((key) => key.startsWith(full(start)))
    .map((key) => key.slice(full("").length))
    .sort();
