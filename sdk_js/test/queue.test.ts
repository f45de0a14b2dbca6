/** The durable queue: bounds, order, batches, and what is counted. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { browser } from "./browser";
import { uuidv7 } from "../src/ids";
import { append, drop, keyOf, lastSeq, MAX_BATCH_BYTES, MAX_EVENTS, take, takeDropped } from "../src/queue";

const NOW = Date.now();
const DEVICE = uuidv7(NOW);
const everything = (): boolean => true;

/** Adds an event and returns its key. */
const add = (seq: number, { valuable = false, size = 100, at = NOW, device = DEVICE, dropped = 0 } = {}): string => {
  const key = keyOf(seq, valuable, uuidv7(at), device);
  const event = { seq, text: "x".repeat(size), dropped: dropped || undefined };
  append(key, JSON.stringify(event));
  return key;
};
const waiting = (): string[] => Object.keys(browser.storage).filter((key) => /:e1/.test(key));

beforeEach(() => {
  for (const key of Object.keys(browser.storage)) delete browser.storage[key];
});

test("an event expires after seven days, at the first event of the next page", () => {
  const key = keyOf(1, true, uuidv7(NOW - 8 * 86_400_000), DEVICE);
  browser.storage["_regulars:undefined:" + key] = "{}";
  add(2, { at: NOW - 6 * 86_400_000 });
  assert.deepEqual(take(Infinity, everything).map((waits) => waits.slice(2, 11)), ["000000002"]);
  assert.equal(takeDropped(), 1);
});

test("events come out in the order of their numbers, not of their ids or arrival", () => {
  const keys = [30, 4, 200].map((seq) => add(seq, { at: NOW - seq }));
  assert.deepEqual(take(Infinity, everything), [keys[1], keys[0], keys[2]]);
  assert.equal(lastSeq(), 200);
});

test("a batch ends at its count, its bytes, and another device", () => {
  const keys = Array.from({ length: 10 }, (_, seq) => add(seq + 1, { size: 9_000 }));
  assert.equal(take(2, everything).length, 2);
  assert.equal(take(0, everything).length, 0);
  assert.equal(take(Infinity, everything).length, 3, "three of 9 kB are less than 32 kB, four are not");
  assert.deepEqual(take(Infinity, (key) => key == keys[7]), [keys[7]]);
  const other = add(0, { device: uuidv7(NOW) });
  assert.deepEqual(take(Infinity, everything), [other]);
});

test("bytes are counted as UTF-8", () => {
  append(keyOf(1, false, uuidv7(NOW), DEVICE), JSON.stringify("€".repeat(6_000)));
  append(keyOf(2, false, uuidv7(NOW), DEVICE), JSON.stringify("€".repeat(6_000)));
  assert.equal(take(Infinity, everything).length, 1);
});

test("an event that no batch could hold is given up at once", () => {
  add(1, { size: MAX_BATCH_BYTES });
  assert.equal(waiting().length, 0);
  assert.equal(takeDropped(), 1);
});

test("too many events: the oldest of low value go first, and are counted", () => {
  const identify = add(1, { valuable: true });
  for (let seq = 2; seq <= MAX_EVENTS + 5; seq++) add(seq);
  assert.equal(waiting().length, MAX_EVENTS);
  assert.equal(take(1, everything)[0], identify);
  assert.match(take(2, everything)[1]!, /^e1000000007/);
  assert.equal(takeDropped(), 5);
  assert.equal(takeDropped(), undefined);
});

test("too much text: the oldest go until a megabyte is left", () => {
  for (let seq = 1; seq <= 60; seq++) add(seq, { size: 20_000 });
  const size = waiting().reduce((sum, key) => sum + browser.storage[key]!.length, 0);
  assert.ok(size <= 1_000_000 && size > 950_000, `${size}`);
  assert.equal(lastSeq(), 60);
});

test("what a lost event would have reported is still owed", () => {
  drop(add(1, { dropped: 41 }), "test");
  assert.equal(takeDropped(), 42);
});

test("a full storage keeps events in memory", () => {
  const full = new Proxy({} as Record<string, string>, {
    set: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });
  Object.setPrototypeOf(browser.storage, full);
  try {
    const key = add(1);
    assert.equal(waiting().length, 0);
    assert.deepEqual(take(Infinity, everything), [key]);
  } finally {
    Object.setPrototypeOf(browser.storage, Object.prototype);
  }
});
