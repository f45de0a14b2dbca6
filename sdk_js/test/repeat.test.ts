/** What makes an identification news, and what does not. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { browser } from "./browser";
import { isRepeated } from "../src/repeat";

const UID = "01a2022e-2a77-7155-849f-87c9fb6c2f63";
const DAY_MS = 86_400_000;

let now = Date.now();
const customer = (traits: Record<string, unknown> = {}, extra: Record<string, unknown> = {}, uid = UID): boolean =>
  isRepeated(uid, "identify", { dims: { customers: { customer_id: "c-1", ...traits } }, extra }, ++now);

beforeEach(() => {
  for (const key of Object.keys(browser.storage)) delete browser.storage[key];
  customer({ city: "Graz" }, { identify_time: "then" });
});

test("the same again is a repeat, whatever the time and the token", () => {
  assert.ok(customer({ city: "Graz" }, { identify_time: "now" }));
  assert.ok(!customer({ city: "Graz", identity_token: "a.b.c" }, { identify_time: "now" }), "now somebody vouches for it");
  assert.ok(customer({ city: "Graz", identity_token: "d.e.f" }, { identify_time: "later" }));
});

test("anything else that differs is news", () => {
  assert.ok(!customer({ city: "Wien" }, { identify_time: "now" }));
  assert.ok(!customer({ city: "Wien", quantity_total: 1 }, { identify_time: "now" }));
  assert.ok(!customer({ city: "Wien", quantity_total: 2 }, { identify_time: "now" }));
  assert.ok(!customer({ city: "Wien", quantity_total: 2 }, { identify_time: "now", identify_type: "exact" }));
  assert.ok(!customer({ city: "Wien", quantity_total: 2 }, { identify_time: "now", identify_type: "else" }));
  assert.ok(!customer({ city: "Wien", quantity_total: 2 }, { identify_time: "now", identify_type: "else" }, UID + "1"));
});

test("so is the same after a day", () => {
  now += DAY_MS;
  assert.ok(!customer({ city: "Graz" }, { identify_time: "now" }));
});
