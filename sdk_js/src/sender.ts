/** Brings waiting events to the collector, and deletes one only when the collector has given its verdict on it. */

import { attempt } from "./attempt";
import { backoffDelay, retryAfterDelay, waitLeft } from "./backoff";
import { guard, note } from "./debug";
import { readPerson } from "./identity";
import { offsetMinutes } from "./lead_time";
import { alone, LEASE, TIMEOUT_MS } from "./lock";
import { deviceOf, drop, take } from "./queue";
import { endpoint } from "./settings";
import { forget, keysOf, load, save } from "./storage";

const GATHER_MS = 1_000;
const FRESH_MS = 2_000;
// Retry-After outlives the page (a time in ms), and so does the number of failures in a row.
const RETRY_AT = "r";
const FAILURES = "f";

let timer: unknown; // of the next attempt
let running: Promise<void> | undefined;
// Events per batch: halved while the collector finds batches too large or malformed, none when it refuses this site.
let limit = Infinity;
/** The device that this page last recorded an event of, and when: asking the cookies again makes the page wait. */
let lastDevice: string;
let lastAt = 0;
/** Events this page has to do with, by key: those it tracked or once sent, and those on their way at the moment. */
const touched: Record<string, typeof OWN | typeof FLYING> = {};
const OWN = 1;
const FLYING = 2;

interface Reply {
  accepted?: number;
  results?: object[];
  error?: { code: string };
}

const sleep = (ms: number): void => {
  clearTimeout(timer as number);
  timer = setTimeout(() => {
    timer = 0; // also where it finds a request on its way: what is tracked after that needs another one
    guard(flush);
  }, ms);
};

const mustWait = (): number => waitLeft(+load(RETRY_AT), Date.now());

const retryLater = (reason: string, status: number, header: string | null): void => {
  const now = Date.now();
  const failures = +load(FAILURES) + 1;
  const asked = retryAfterDelay(header, now);
  const wait = asked || backoffDelay(failures, status, Math.random());
  save(FAILURES, failures);
  save(RETRY_AT, now + asked);
  note("waiting", `Retry in ${wait | 0} ms: ${reason}`);
  sleep(wait);
};

/** Decides what an answer means for the events it is about. True: go on with the next ones. */
const settle = (keys: string[], status: number, reply: Reply, header: string | null): boolean => {
  if (status == 200 && reply.accepted! >= 0) {
    keys.forEach(forget);
    forget(FAILURES);
    limit *= 2;
    note("answered", JSON.stringify(reply), reply);
    return !!keysOf("e")[0];
  }
  const reason = `answer ${status} ${reply.error?.code || ""}`;
  if (status == 400 || status == 413) {
    limit = Math.ceil(keys.length / 2);
    if (!keys[1]) drop(keys[0]!, reason);
    return true;
  }
  if (status == 401 || status == 403) {
    limit = 0;
    note("error", `Paused until reload: ${reason}`);
  } else retryLater(reason, status, header);
  return false;
};

/** Sends one batch. False: that was all, or it failed. */
const sendNext = async (leaving?: boolean): Promise<boolean> => {
  const now = Date.now();
  const keys = take(limit, (key) => (leaving ? touched[key] == OWN : touched[key] != FLYING));
  if (!keys[0]) return false;
  const url = endpoint("collect");
  const device = deviceOf(keys[0]);
  const events = `${keys.map(load)}`;
  // How the first event begins, up to its URL, is said once, and left out of all that begin alike.
  const [common] = events.split(',"url"');
  const body = `${common},"sent_at":${now},"tz":${offsetMinutes(now)},"sdk":"${__VERSION__}","device":"${device}","events":[${events.split(common + ",").join("{")}]}`;
  let status = 0;
  let reply: Reply = {};
  let header: string | null = null;
  note("sent", `${keys.length} events`);
  keys.forEach((key) => (touched[key] = FLYING));
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      keepalive: true,
      signal: AbortSignal.timeout?.(TIMEOUT_MS),
      // Events of a device whose cookies were deleted since must not meet the cookies of its successor.
      credentials: device == (now - lastAt < FRESH_MS ? lastDevice : readPerson()[3]) ? "include" : "omit",
    });
    status = response.status;
    header = response.headers.get("Retry-After");
    reply = await response.json();
  } catch {
    if (leaving && !status) attempt(() => navigator.sendBeacon(url, body));
  }
  keys.forEach((key) => (touched[key] = OWN));
  return settle(keys, status, reply, header);
};

/** An event was kept under `key`: send it soon, together with what follows it. */
export const wake = (key: string): void => {
  touched[key] = OWN;
  lastDevice = deviceOf(key);
  lastAt = Date.now();
  if (!timer) sleep(GATHER_MS);
};

const sendAll = async (): Promise<void> => {
  clearTimeout(timer as number);
  timer = 0;
  let more;
  try {
    while ((more = await alone(sendNext)));
  } finally {
    running = undefined;
    if (more != false) sleep(GATHER_MS); // somebody else is sending
  }
};

/** Send now, unless the collector asked to wait. Resolves after the attempt. */
export const flush = (): Promise<void> | void => {
  const wait = mustWait();
  return wait ? sleep(wait) : (running = running || sendAll());
};

/** The page may be about to vanish: send what it tracked, in this very moment. */
export const leave = async (): Promise<void> => {
  if (running) forget(LEASE);
  if (!mustWait() && (await sendNext(true))) sleep(0); // the page came back, or never left
};
