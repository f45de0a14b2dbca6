/** One sending tab at a time: Web Locks, and where they do not exist, a lease in storage. */

import type { Store } from "./storage";

export const LEASE_MS = 35_000;
const SETTLE_MS = 60;
const LEASE = "l";

export interface Lock {
  /** The result of `work`, run alone among the tabs; undefined when another tab holds the lease. */
  alone_<T>(work: () => Promise<T>): Promise<T | undefined>;
  /** Gives the lease back, before the page goes away. */
  release_(): void;
}

export const createLock = (name: string, store: Store, owner: string): Lock => {
  /** Who holds the lease; nobody, once it has run out (or ends absurdly late: a clock that jumped). */
  const holder = (): string | undefined => {
    const [who, until] = (store.get_(LEASE) || "").split(" ");
    return Math.abs(+until! - LEASE_MS / 2 - Date.now()) <= LEASE_MS / 2 ? who : undefined;
  };
  const release = (): void => {
    if (holder() == owner) store.remove_(LEASE);
  };
  return {
    async alone_(work) {
      let begun;
      try {
        return await navigator.locks.request(name, () => {
          begun = true;
          return work();
        });
      } catch (error) {
        if (begun) throw error;
      }
      if ((holder() || owner) != owner) return;
      store.set_(LEASE, `${owner} ${Date.now() + LEASE_MS}`);
      // Two tabs may have written in the same moment: once both have settled, the later one is the holder.
      // (A thenable, because pages replace Promise.)
      await { then: (done: () => void) => void setTimeout(done, SETTLE_MS) };
      if (holder() != owner) return;
      const result = await work();
      release();
      return result;
    },
    release_: release,
  };
};
