/** Whether events may be recorded now, must wait for the visitor's decision, or must not exist. */

import { note } from "./debug";
import { DENIED, forgetPerson, GRANTED, personAt, readPerson } from "./identity";
import { countDropped } from "./queue";
import { endpoint, settings } from "./settings";
import { forget, keysOf } from "./storage";
import { forgetVisit } from "./visit";

const MAX_WAITING = 100;

let waiting: [at: number, job: () => void][] = [];
let lost = 0; // how many did not even wait
let denied = false; // on this page

const isRequired = (): boolean => settings.consent == "required";

/** Runs `job` now, on grant (it was tracked at `at`), or never. */
export const admit = (at: number, job: () => void): void => {
  const [decision] = readPerson();
  if (denied || decision == DENIED) note("dropped", "Consent denied");
  else if (!isRequired() || decision == GRANTED) job();
  else {
    if (waiting.length < MAX_WAITING) waiting.push([at, job]);
    else lost++;
    note("waiting", "No consent yet");
  }
};

/** Carries out what the visitor decided ("granted", or else it is a denial), and tells the collector. */
export const decide = (at: number, decision: string): void => {
  const jobs = waiting;
  let uid = readPerson()[1];
  waiting = [];
  denied = decision != "granted";
  if (denied) {
    keysOf("").forEach(forget);
    forgetVisit();
    forgetPerson(!isRequired());
  } else {
    uid = personAt(jobs[0]?.[0] || at, false, GRANTED)[1];
    if (lost) countDropped(lost);
    jobs.forEach(([, job]) => job());
  }
  lost = 0;
  navigator.sendBeacon(endpoint("consent"), JSON.stringify({ state: decision, uid, at }));
};

/** Applies what the browser itself says: Global Privacy Control, where the site heeds it. */
export const heedBrowser = (): void => {
  if (settings.gpc && (navigator as any).globalPrivacyControl && (readPerson()[0] as number) < GRANTED) decide(Date.now(), "denied");
};
