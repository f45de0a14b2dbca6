/** Browsers forbid, pages break things: what may fail is attempted, and the page never notices. */

export const attempt = <T>(work: () => T): T | undefined => {
  try {
    return work();
  } catch {}
};
