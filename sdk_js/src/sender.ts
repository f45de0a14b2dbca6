/** Brings waiting events to the collector, and deletes one only when the collector has given its verdict on it. */

import { attempt } from "./attempt";
import { backoffDelay, retryAfterDelay, waitLeft } from "./backoff";
import type { Debug } from "./debug";
import { utf8 } from "./hash";
import type { Identity } from "./identity";
import { offsetMinutes } from "./lead_time";
import type { Lock } from "./lock";
import { deviceOf, MAX_BATCH_BYTES, type Queue } from "./queue";
import type { Store } from "./storage";

const GATHER_MS = 1_000;
const BATCH_EVENTS = 500;
const TIMEOUT_MS = 30_000;
// Retry-After outlives the page, and so does the number of failures in a row: "until failures".
const RETRY = "r";

interface Reply {
  accepted?: number;
  duplicate?: number;
  quarantined?: number;
  results?: { event_id: string; status: string; code?: string; field?: string }[];
  error?: { code: string };
}

export interface Sender {
  /** An event was kept under `key`: send it soon, together with what follows it. */
  wake_(key: string): void;
  /** Send now, unless the collector asked to wait. */
  flush_(): Promise<void>;
  /** The page may be about to vanish: send what it tracked, in this very moment. */
  leave_(): Promise<void>;
}

export const createSender = (
  url: string,
  store: Store,
  queue: Queue,
  lock: Lock,
  identity: Identity,
  debug: Debug,
): Sender => {
  const own = new Set<string>(); // keys of what this page tracked
  const flying = new Set<string>();
  let room = MAX_BATCH_BYTES; // all keepalive requests of a page share 64 KiB
  let limit = BATCH_EVENTS;
  let timer: unknown;
  let running = false;
  let paused = false;

  const sleep = (ms: number): void => {
    clearTimeout(timer as number);
    timer = setTimeout(() => debug.guard_(flush), ms);
  };
  const past = (): number[] => (store.get_(RETRY) || "0 0").split(" ").map(Number);
  const mustWait = (): number => waitLeft(past()[0]!, Date.now());

  /** Decides what an answer means for the events it is about. True: go on with the next ones. */
  const settle = (keys: string[], status: number, reply: Reply, header: string | null): boolean => {
    if (status == 200 && reply.accepted! >= 0) {
      keys.forEach(store.remove_);
      store.remove_(RETRY);
      limit = Math.min(limit * 2, BATCH_EVENTS);
      debug.note_("answered", `${reply.accepted} of ${keys.length} stored`, reply);
      reply.results?.forEach(({ status, code, field }) =>
        debug.note_("answered", `One ${status}: ${code} ${field || ""}`),
      );
      return true;
    }
    const reason = `the collector answered ${status} ${reply.error?.code || ""}`;
    if (status == 400 || status == 413) {
      limit = Math.ceil(keys.length / 2);
      if (!keys[1]) queue.drop_(keys[0]!, reason);
      return true;
    }
    if (status == 401 || status == 403) {
      paused = true;
      debug.note_("error", `Nothing is sent until reload: ${reason}`);
    } else {
      const now = Date.now();
      const failures = past()[1]! + 1;
      const asked = retryAfterDelay(header, now);
      const wait = asked || backoffDelay(failures, status, Math.random());
      store.set_(RETRY, `${asked && now + asked} ${failures}`);
      debug.note_("waiting", `Next try in ${Math.ceil(wait / 1_000)} s: ${reason}`);
      sleep(wait);
    }
    return false;
  };

  /** Sends one batch. False: that was all, or it failed. */
  const sendNext = async (leaving?: boolean): Promise<boolean> => {
    const keys = queue.take_(limit, room, (key) => !flying.has(key) && (!leaving || own.has(key)));
    if (!keys[0]) return false;
    const now = Date.now();
    const device = deviceOf(keys[0]);
    const head = JSON.stringify({ sent_at: now, tz: offsetMinutes(now), sdk: __VERSION__, device });
    // (Another tab may have removed an event meanwhile.)
    const body = `${head.slice(0, -1)},"events":[${keys.map(store.get_).filter(Boolean)}]}`;
    const size = utf8(body).length;
    let status = 0;
    let reply: Reply = {};
    let header: string | null = null;
    debug.note_("sent", `${keys.length} events, ${size} bytes`);
    keys.forEach((key) => flying.add(key));
    room -= size;
    try {
      const response = await fetch(url, {
        method: "POST",
        body,
        keepalive: true,
        signal: AbortSignal.timeout?.(TIMEOUT_MS),
        // Events of a device whose cookies were deleted since must not meet the cookies of its successor.
        credentials: device == identity.read_()[3] ? "include" : "omit",
      });
      status = response.status;
      header = response.headers.get("Retry-After");
      reply = await response.json();
    } catch {
      if (leaving && !status) attempt(() => navigator.sendBeacon(url, body));
    }
    room += size;
    keys.forEach((key) => flying.delete(key));
    return settle(keys, status, reply, header);
  };

  const flush = async (): Promise<void> => {
    const wait = running ? GATHER_MS : mustWait();
    if (paused) return;
    if (wait) return sleep(wait);
    clearTimeout(timer as number);
    timer = 0;
    running = true;
    try {
      let more;
      while ((more = await lock.alone_(() => sendNext())));
      if (more == null) sleep(GATHER_MS);
    } finally {
      running = false;
    }
  };

  return {
    wake_(key) {
      own.add(key);
      if (!timer) sleep(GATHER_MS);
    },
    flush_: flush,
    async leave_() {
      lock.release_();
      if (!paused && !mustWait() && (await sendNext(true))) sleep(0); // the page came back, or never left
    },
  };
};
