/**
 * Values whose home is a first-party cookie on the registrable domain, which is found by trying.
 *
 * Storage holds a copy only while the browser refuses the cookie; the first cookie that is accepted deletes it. So
 * whoever deletes their cookies is forgotten.
 */

import { attempt } from "./attempt";
import { forget, load, save } from "./storage";

/** The domain that cookies were accepted on last; "" is the host alone, undefined means that none is accepted. */
export let cookieDomain: string | undefined;

/** From the shortest suffix that could be registrable to the whole host; "" (no Domain attribute) last. */
export const domainCandidates = (host: string): string[] => {
  const labels = host.split(".");
  return [...labels.map((_, index) => labels.slice(~index).join(".")).slice(1), ""];
};

const cookie = (name: string): string =>
  // Sandboxed frames throw.
  attempt(() => `; ${document.cookie}`.split(`; ${name}=`)[1]?.split(";")[0]) || "";

/** The value's fields, [""] when there is none. Read afresh: another tab may have changed or deleted it. */
export const readCookie = (name: string): string[] => (cookie(name) || load(name)).split(".");

/** Keeps fields, joined by dots, for `maxAge` seconds; 0 deletes, undefined = until the browser closes. */
export const writeCookie = (name: string, fields: unknown[], maxAge?: number): void => {
  const value = fields.join(".");
  const accepts = (domain: string): boolean => {
    attempt(() => {
      // (An undefined max-age is no number, so browsers ignore it: a session cookie.)
      document.cookie =
        `${name}=${value};path=/;SameSite=Lax;max-age=${maxAge}` +
        (domain && ";domain=" + domain) +
        (location.href[4] == "s" ? ";Secure" : ""); // https
    });
    // (Reading back a cookie that was just written makes the page wait, so a domain that has proved itself is trusted.)
    return domain == cookieDomain || cookie(name) == value;
  };
  cookieDomain = (cookieDomain == null ? domainCandidates(location.hostname) : [cookieDomain]).find(accepts);
  if (cookieDomain == null) save(name, value);
  else forget(name);
};
