/** When a visit ends and the next begins: silence, age, another campaign, or coming back from another site. */

import type { Cookies } from "./cookies";
import { uuidv7 } from "./ids";

const NAME = "_regulars_visit";
const SILENCE_MS = 30 * 60_000;
const LONGEST_MS = 24 * 3_600_000;
const NOTED_EVERY_MS = 10_000;

/** Session cookie `_regulars_visit`: id.started.active.campaign (times in ms, a short mark of the campaign). */
export type Visit = [id?: string, started?: string | number, active?: string | number, campaign?: string];

/**
 * True when none is kept, or it was silent or lasts too long (a clock that jumped counts as both), or the visitor
 * arrives from an external page or by a campaign that is not the visit's own ("" is none).
 */
export const endsVisit = ([id, started, active, own]: Visit, at: number, campaign = "", external = false): boolean =>
  !id ||
  Math.abs(at - +active!) > SILENCE_MS ||
  Math.abs(at - +started!) > LONGEST_MS ||
  external ||
  (!!campaign && campaign != own);

/** True when `referrer` is a page of another site: not this host, its registrable domain, or an own domain. */
export const isExternal = (referrer: string, own: string[]): boolean =>
  !!referrer && !own.some((domain) => domain && ("." + new URL(referrer).hostname).endsWith("." + domain));

export interface Visits {
  /** The id of the visit that goes on, or begins, with what happens at `at`. */
  current_(at: number, campaign?: string, external?: boolean): string;
  forget_(): void;
}

/** Activity is noted every ten seconds at most. */
export const createVisits = (cookies: Cookies): Visits => ({
  current_(at, campaign, external) {
    let visit = cookies.read_(NAME) as Visit;
    if (endsVisit(visit, at, campaign, external)) visit = [uuidv7(at), at, 0, campaign];
    if (at - +visit[2]! > NOTED_EVERY_MS) {
      visit[2] = at;
      cookies.write_(NAME, visit);
    }
    return visit[0]!;
  },
  forget_: () => cookies.write_(NAME, [], 0),
});
