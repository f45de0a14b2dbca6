/** Rules that need no browser. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { backoffDelay, retryAfterDelay, waitLeft } from "../src/backoff";
import { campaignOf } from "../src/campaign";
import { md5, sha256 } from "../src/hash";
import { birthTime, uuidv7 } from "../src/ids";
import { toJson } from "../src/json";
import { pageOf } from "../src/pages";
import { settingsOf } from "../src/settings";
import { endsVisit, isExternal } from "../src/visit";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LENGTHS = [55, 56, 63, 64, 65, 5_000];
const TEXTS = ["", "a", "ann@example.com", "é€😀", ...LENGTHS.map((length) => "x".repeat(length))];

test("hashes agree with those of Node for texts of every padding", async () => {
  for (const text of TEXTS) {
    assert.equal(md5(text), createHash("md5").update(text).digest("hex"));
    assert.equal(await sha256(text), createHash("sha256").update(text).digest("hex"));
  }
  assert.equal(md5("undefined"), "5e543256c480ac577d30f76f9120eb74");
});

test("an id is a UUIDv7 that tells its birth time", () => {
  for (const at of [0, 1, Date.UTC(2016, 0), Date.now(), Date.UTC(2036, 0)]) {
    const id = uuidv7(at);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(birthTime(id), at);
  }
  assert.equal(new Set(Array.from({ length: 10_000 }, () => uuidv7(1))).size, 10_000);
});

test("lone surrogates are replaced, and nothing else", () => {
  assert.equal(JSON.parse(toJson("\ud800")), "\ufffd");
  assert.equal(JSON.parse(toJson({ a: ["x\udfffy"] })).a[0], "x\ufffdy");
  for (const text of ["😀", "\\ud800", "\\\\ud800", '"\\"', "\\\ud83d\ude00", "\u0000"]) {
    assert.equal(JSON.parse(toJson(text)), text);
  }
  assert.equal(JSON.parse(toJson("\\\ud800")), "\\\ufffd");
});

test("waits double, are jittered in full, and are bounded", () => {
  assert.deepEqual([1, 2, 3].map((failures) => backoffDelay(failures, 503, 1)), [2_000, 4_000, 8_000]);
  assert.equal(backoffDelay(3, 503, 0), 0);
  assert.equal(backoffDelay(50, 503, 1), MINUTE);
  assert.equal(backoffDelay(50, 0, 1), 10 * MINUTE);
});

test("Retry-After is read as seconds or a date", () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(retryAfterDelay("7", now), 7_000);
  assert.equal(retryAfterDelay(new Date(now + 9_000).toUTCString(), now), 9_000);
  for (const header of [null, "", "soon", "0", "-5", new Date(now - HOUR).toUTCString()]) {
    assert.equal(retryAfterDelay(header, now), 0, `${header}`);
  }
  assert.equal(waitLeft(now + 5, now), 5);
  assert.equal(waitLeft(now - 5, now), 0);
  assert.equal(waitLeft(now + 365 * 24 * HOUR, now), 0, "a clock that jumped must not silence the SDK");
});

test("a visit ends by silence, age, campaign or an external page", () => {
  const visit: [string, number, number, string] = ["id", 0, 10 * HOUR, "mail"];
  assert.ok(endsVisit([""], 0));
  assert.ok(!endsVisit(visit, 10 * HOUR + 30 * MINUTE));
  assert.ok(endsVisit(visit, 10 * HOUR + 30 * MINUTE + 1));
  assert.ok(!endsVisit(["id", 0, 24 * HOUR - 1, ""], 24 * HOUR));
  assert.ok(endsVisit(["id", 0, 24 * HOUR - 1, ""], 24 * HOUR + 1));
  assert.ok(!endsVisit(visit, 10 * HOUR, "mail"));
  assert.ok(endsVisit(visit, 10 * HOUR, "ads"));
  assert.ok(!endsVisit(visit, 10 * HOUR, undefined, () => false));
  assert.ok(endsVisit(visit, 10 * HOUR, undefined, () => true));
  assert.ok(endsVisit(visit, 10 * HOUR - 365 * 24 * HOUR), "a clock that jumped back");
});

test("only a page of another site is external", () => {
  const own = ["shop.co.uk", "pay.example", ""];
  for (const referrer of ["", "https://www.shop.co.uk/x", "http://shop.co.uk:81/", "https://a.pay.example/y"]) {
    assert.ok(!isExternal(referrer, own), referrer);
  }
  for (const referrer of ["https://other.co.uk/", "https://notshop.co.uk/", "https://example/", "android-app://x.y/"]) {
    assert.ok(isExternal(referrer, own), referrer);
  }
});

test("campaign parameters are found among others", () => {
  const query = "?a=1&utm_source=mail&utm_empty=&gclid=g&fbclid=f&msclkid=m&wbraid=w&utmost=x&clid=c";
  const found = { utm_source: "mail", gclid: "g", fbclid: "f", msclkid: "m", wbraid: "w", clid: "c" };
  assert.deepEqual(campaignOf("https://x.test/" + query), found);
  assert.equal(campaignOf("https://x.test/?a=1#utm_source=mail"), undefined);
});

test("an anchor is the same page, a hash route is another", () => {
  assert.equal(pageOf("https://x.test/a?b#part"), pageOf("https://x.test/a?b"));
  assert.notEqual(pageOf("https://x.test/a#/route"), pageOf("https://x.test/a"));
  assert.notEqual(pageOf("https://x.test/a?b"), pageOf("https://x.test/a"));
});

test("the collector's address and the site key come from the script's address", () => {
  const base = (src: string) => settingsOf(src, {}).base;
  assert.equal(base("https://c.test/sdk.js?site=k"), "https://c.test/");
  assert.equal(base("https://c.test/pre/fix/sdk.js?site=k&v=2"), "https://c.test/pre/fix/");
  assert.equal(base("https://c.test/p/sdk/0.1.0/sdk.js"), "https://c.test/p/");
  assert.equal(base("https://c.test/sdk/sdk.js?site=k"), "https://c.test/sdk/");
  assert.equal(settingsOf("https://c.test/sdk.js?v=2&site=k-1#x", {}).site, "k-1");
  assert.equal(settingsOf("https://c.test/sdk.js?site=k", { site: "served" }).site, "served");
});
