/** One sending tab at a time: Web Locks, and where they do not exist, a lease in storage. */

import { forget, load, save } from "./storage";

export const LEASE = "l";
/** Longer than this nobody waits, neither for an answer nor for another tab. */
export const TIMEOUT_MS = 30_000;

/** No answer to the last request for the lock: its page may sleep in the browser's cache, so the next one takes it away. */
let isStuck = false;

/**
 * The result of `work`, run alone among the tabs; undefined when another tab holds the lease (until a time in ms). Rejects
 * when the lock is not to be had in time, or is taken away meanwhile.
 */
export const alone = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
  const { locks } = navigator;
  if (locks) {
    const options = isStuck ? { steal: isStuck } : { signal: AbortSignal.timeout?.(TIMEOUT_MS) };
    isStuck = true;
    return locks.request("_regulars", options, () => {
      isStuck = false;
      return work();
    });
  }
  const left = +load(LEASE) - Date.now();
  // (A lease that ends absurdly late was written by a clock that jumped.)
  if (left > 0 && left < TIMEOUT_MS) return;
  save(LEASE, Date.now() + TIMEOUT_MS);
  const result = await work();
  forget(LEASE);
  return result;
};
