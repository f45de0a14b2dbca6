/** The local time that sites put beside an identification. The UTC offset travels with the batch, as `tz`. */

/** Minutes east of UTC at `at` (ms epoch). */
export const offsetMinutes = (at: number): number => -new Date(at).getTimezoneOffset();

/** `YYYY-MM-DD HH:MM:SS` on this device's wall clock. */
export const leadTime = (at = Date.now()): string =>
  new Date(at + offsetMinutes(at) * 60_000).toISOString().slice(0, 19).replace("T", " ");
