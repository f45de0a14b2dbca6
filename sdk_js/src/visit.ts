/** When a visit ends and the next begins: silence, age, another campaign, or coming back from another site. */

import { readCookie, writeCookie } from "./cookies";
import { uuidv7 } from "./ids";

const NAME = "_regulars_visit";
const SILENCE_MS = 30 * 60_000;
const LONGEST_MS = 24 * 3_600_000;
const NOTED_EVERY_MS = 10_000;

/** Session cookie `_regulars_visit`: id.started.active.campaign (times in ms, as digits; a short mark of the campaign). */
export type Visit = [id?: string, started?: number, active?: number, campaign?: string];

/**
 * True when none is kept, or it was silent or lasts too long (a clock that jumped counts as both), or the visitor
 * arrives from an external page or by a campaign that is not the visit's own ("" is none).
 */
export const endsVisit = (visit: Visit, at: number, campaign?: string, external?: () => unknown): unknown =>
  !visit[0] ||
  Math.abs(at - visit[2]!) > SILENCE_MS ||
  Math.abs(at - visit[1]!) > LONGEST_MS ||
  external?.() ||
  (campaign && campaign != visit[3]);

/** True when `referrer` is a page of another site: not this host, its registrable domain, or an own domain. */
export const isExternal = (referrer: string, own: (string | undefined)[]): unknown =>
  referrer && !own.some((domain) => domain && ("." + referrer.split(/[/:]/)[3]).endsWith("." + domain));

/** The id of the visit that goes on, or begins, at `at`. Activity is noted every ten seconds at most. */
export const visitAt = (at: number, campaign?: string, external?: () => unknown): string => {
  let visit = readCookie(NAME) as Visit;
  if (endsVisit(visit, at, campaign, external)) visit = [uuidv7(at), at, 0, campaign];
  if (at - visit[2]! > NOTED_EVERY_MS) {
    visit[2] = at;
    writeCookie(NAME, visit);
  }
  return visit[0]!;
};

export const forgetVisit = (): void => writeCookie(NAME, [], 0);
