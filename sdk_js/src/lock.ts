/** One sending tab at a time: Web Locks, and where they do not exist, a lease in storage. */

import { forget, load, save } from "./storage";

export const LEASE = "l";
const LEASE_MS = 35_000;

/** Tells this tab from the others. */
const owner = `${Math.random()}`;

/** The result of `work`, run alone among the tabs; undefined when another tab holds the lease ("owner until"). */
export const alone = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
  if (navigator.locks) return navigator.locks.request("_regulars", () => work());
  const [holder, until] = load(LEASE).split(" ");
  const left = +until! - Date.now();
  // (A lease that ends absurdly late was written by a clock that jumped.)
  if (holder != owner && left > 0 && left < LEASE_MS) return;
  save(LEASE, `${owner} ${Date.now() + LEASE_MS}`);
  const result = await work();
  forget(LEASE);
  return result;
};
