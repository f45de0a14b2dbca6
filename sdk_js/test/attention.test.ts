/** Active time: only what is both visible and focused counts. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser } from "./browser";
import { activeMs } from "../src/attention";

let now = 0;
performance.now = () => now;

/** Active time after `ms` more, from when on the document is as said. */
const after = (ms: number, { hidden = false, focused = true } = {}): number => {
  now += ms;
  browser.hidden = hidden;
  browser.focused = focused;
  return activeMs();
};

test("time counts from the first look, while the document is visible and focused", () => {
  now = 1_000;
  assert.equal(after(0), 0);
  assert.equal(after(10), 10);
  assert.equal(after(10, { hidden: true }), 20);
  assert.equal(after(100), 20);
  assert.equal(after(10, { focused: false }), 30);
  assert.equal(after(100, { focused: false, hidden: true }), 30);
  assert.equal(after(100, { hidden: true }), 30);
  assert.equal(after(100), 30);
});

test("fractions of a millisecond add up, and are not told", () => {
  const before = after(0);
  for (let look = 0; look < 10; look++) after(0.25);
  assert.equal(after(0) - before, 2);
});
