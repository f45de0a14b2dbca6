/** Values whose home is a first-party cookie on the registrable domain, found by trying. */

import { attempt } from "./attempt";
import type { Store } from "./storage";

export interface Cookies {
  /** The value's fields, [""] when it does not exist. Read afresh: another tab may have changed or deleted it. */
  read_(name: string): string[];
  /** Keeps fields, joined by dots, for `maxAge` seconds; 0 deletes, undefined = until the browser closes. */
  write_(name: string, fields: unknown[], maxAge?: number): void;
  /** The domain that cookies were accepted on; "" while unknown or host-only. */
  domain_(): string;
}

/** From the shortest suffix that could be registrable to the whole host; "" (no Domain attribute) last. */
export const domainCandidates = (host: string): string[] => {
  const labels = host.split(".");
  return [...labels.map((_, index) => labels.slice(~index).join(".")).slice(1), ""];
};

/**
 * Storage holds a copy only while the browser refuses the cookie; the first cookie that is accepted deletes it. So
 * whoever deletes their cookies is forgotten.
 */
export const createCookies = (store: Store): Cookies => {
  let candidates = domainCandidates(location.hostname);
  const cookie = (name: string): string =>
    // Sandboxed frames throw.
    attempt(() => RegExp(`(?:^|; )${name}=([^;]*)`).exec(document.cookie)?.[1]) || "";
  return {
    read_: (name) => (cookie(name) || store.get_(name) || "").split("."),
    write_(name, fields, maxAge) {
      const value = fields.join(".");
      const domain = candidates.find((candidate) => {
        attempt(() => {
          // (An undefined max-age is no number, so browsers ignore it: a session cookie.)
          document.cookie =
            `${name}=${value};path=/;SameSite=Lax;max-age=${maxAge}` +
            (candidate && ";domain=" + candidate) +
            (location.protocol == "https:" ? ";Secure" : "");
        });
        return cookie(name) == value;
      });
      if (domain == null) store.set_(name, value);
      else {
        candidates = [domain];
        store.remove_(name);
      }
    },
    domain_: () => candidates[0]!,
  };
};
