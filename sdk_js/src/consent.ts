/** Whether events may be recorded now, must wait for the visitor's decision, or must not exist. */

import type { Debug } from "./debug";
import { DENIED, GRANTED, type Identity } from "./identity";
import type { Queue } from "./queue";
import type { Store } from "./storage";
import type { Settings } from "./surface";
import type { Visits } from "./visit";

const MAX_WAITING = 100;

export interface Consent {
  /** Runs `job` now, on grant (it was tracked at `at`), or never. */
  admit_(at: number, job: () => void): void;
  /** Carries out what the visitor decided, and tells the collector. */
  decide_(at: number, state: string): void;
  /** Applies what the browser itself says: Global Privacy Control, where the site heeds it. */
  heed_(): void;
}

export const createConsent = (
  settings: Settings,
  store: Store,
  identity: Identity,
  visits: Visits,
  queue: Queue,
  debug: Debug,
): Consent => {
  const required = settings.consent == "required";
  let waiting: [at: number, job: () => void][] = [];
  let lost = 0;
  let denied = false;

  const decide = (at: number, state: string): void => {
    denied = state != "granted";
    let uid = identity.read_()[1];
    if (denied) {
      store.keys_("").forEach(store.remove_);
      visits.forget_();
      identity.deny_(!required);
    } else {
      uid = identity.person_(waiting[0]?.[0] || at, GRANTED)[1];
      if (lost) queue.countDropped_(lost);
      waiting.forEach(([, job]) => job());
    }
    waiting = [];
    lost = 0;
    const body = JSON.stringify({ state: denied ? "denied" : state, uid, at });
    navigator.sendBeacon(`${settings.base}v1/consent?site=${settings.site}`, body);
  };

  return {
    admit_(at, job) {
      const [decision] = identity.read_();
      if (denied || decision == DENIED) debug.note_("dropped", "The visitor declined");
      else if (!required || decision == GRANTED) job();
      else {
        if (waiting.length < MAX_WAITING) waiting.push([at, job]);
        else lost++;
        debug.note_("waiting", "No consent yet");
      }
    },
    decide_: decide,
    heed_() {
      const signal = (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;
      if (settings.gpc && signal && !/[12]/.test(identity.read_()[0]!)) decide(Date.now(), "denied");
    },
  };
};
