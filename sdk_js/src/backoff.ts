/** How long to wait after a failure. Pure: random numbers and the time are arguments. */

const DAY_MS = 86_400_000;

/**
 * Full jitter, in ms. No answer at all (`status` 0) over and over is what an ad-blocker looks like: such waits grow
 * to ten minutes, those of a collector that answers with errors to one.
 */
export const backoffDelay = (failures: number, status: number, random: number): number =>
  random * Math.min(status ? 60_000 : 600_000, 1_000 * 2 ** failures);

/** A wait within a day: one that is longer is a clock that jumped, and none is none. */
export const waitLeft = (until: number, now: number): number => (until > now && until - now < DAY_MS ? until - now : 0);

/** Milliseconds a Retry-After header (seconds, or an HTTP date) asks for; 0 when it asks nothing. */
export const retryAfterDelay = (header: string | null, now: number): number =>
  waitLeft(now + +header! * 1_000 || Date.parse(header!) || 0, now);
