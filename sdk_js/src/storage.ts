/** Small values that outlive the page: localStorage, or memory where it is blocked or full. */

import { attempt } from "./attempt";

export interface Store {
  get_(key: string): string | undefined;
  set_(key: string, value: unknown): void;
  remove_(key: string): void;
  /** Every key that begins with `start`, in order. */
  keys_(start: string): string[];
}

/** All keys get `prefix`. One key per value: tabs never rewrite what another tab wrote. */
export const createStore = (prefix: string): Store => {
  const memory: Record<string, string> = {};
  // Merely naming localStorage throws where storage is blocked.
  const disk = (): Record<string, string> => attempt(() => localStorage) || memory;
  const remove = (key: string): void => {
    delete memory[prefix + key];
    delete disk()[prefix + key];
  };
  return {
    get_: (key) => memory[prefix + key] ?? disk()[prefix + key],
    set_(key, value) {
      remove(key); // also frees the room that the new value needs
      attempt(
        () => (disk()[prefix + key] = `${value}`),
        () => (memory[prefix + key] = `${value}`),
      );
    },
    remove_: remove,
    keys_: (start) =>
      [...new Set([...Object.keys(memory), ...Object.keys(disk())])]
        .filter((key) => key.startsWith(prefix + start))
        .map((key) => key.slice(prefix.length))
        .sort(),
  };
};
