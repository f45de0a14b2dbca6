/** A whole SDK under Node: replay of the stub, identity on the registrable domain, verdicts and retries. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, test } from "node:test";
import { runInThisContext } from "node:vm";
import { buildSync } from "esbuild";
import { browser, domains, jar } from "./browser";
import { flush } from "../src/sender";
import { start } from "../src/start";
import type { WebEvent } from "../src/surface";

const page = globalThis as unknown as { window: object; web_event: WebEvent; _cdpEventFunction: any };
const settings = { base: "https://c.test/", site: "k" };

Object.assign(globalThis, {
  window: globalThis,
  addEventListener: () => undefined,
  history: { pushState: () => undefined, replaceState: () => undefined },
});
Object.defineProperty(performance, "navigation", { value: { type: 0 } });

/** Runs the stub as the page would, then the SDK, which replays what was called in between. */
const begin = async (calls: (web_event: WebEvent) => void): Promise<void> => {
  delete (page as Partial<typeof page>).web_event;
  const { outputFiles } = buildSync({ entryPoints: ["src/stub.ts"], bundle: true, format: "iife", write: false });
  runInThisContext(outputFiles[0]!.text);
  calls(page.web_event);
  start(settings, page.web_event);
  await null; // where there is a stub, it begins when the stack is empty
  await flush();
};
const events = (): any[] =>
  browser.sent.flatMap(({ body: { events, uid, uid_origin, visit, page } }) =>
    events.map((event: object) => ({ uid, uid_origin, visit, page, ...event })),
  );
const names = (): string[] => events().map((event) => `${event.category}/${event.action}`);

beforeEach(() => {
  browser.sent.length = browser.answers.length = browser.timers.length = 0;
  for (const key of Object.keys(browser.storage)) delete browser.storage[key];
  jar.clear();
});

test("calls of the stub are replayed in order, with their time and their deferred values", async () => {
  const before = Date.now();
  await begin((web_event) => {
    page._cdpEventFunction._cdpGetLeadTime();
    web_event.track("a", "b", { dims: { id: page._cdpEventFunction.md5("x") }, items: [{ deep: [1] }] });
    web_event.queue.push(["track", "c", "d"]);
    page._cdpEventFunction.md5 = () => "replaced by the SDK";
  });
  assert.deepEqual(names(), ["page/view", "a/b", "c/d"]);
  const [view, first] = events();
  assert.equal(first.dims.id, "replaced by the SDK");
  assert.deepEqual(first.items, [{ deep: [1] }]);
  assert.ok(before <= view.at && view.at <= first.at);
  assert.deepEqual(view.campaign, { utm_source: "mail" });
  assert.deepEqual(
    events().map((event) => event.seq),
    [view.seq, view.seq + 1, view.seq + 2],
  );
});

test("where the stub takes calls, no cookie is read while the script that starts is running", async () => {
  const before = browser.reads;
  const begun = begin(() => assert.equal(browser.reads, before));
  assert.equal(browser.reads, before);
  await begun;
  assert.ok(browser.reads > before);
});

test("ids live in a cookie on the registrable domain", async () => {
  await begin(() => undefined);
  assert.ok(jar.get("_regulars")!.includes(events()[0].uid));
  assert.deepEqual([...domains], ["shop.co.uk"]);
});

test("a failure keeps events, waits longer each time, and a verdict deletes", async () => {
  browser.answers = [{ status: 503 }, { status: 0 }, { status: 500 }];
  await begin((web_event) => web_event.track("a", "b"));
  await flush();
  await flush();
  assert.equal(browser.sent.length, 3);
  assert.equal(browser.storage["_regulars:k:f"], 3 as unknown as string);
  await flush();
  assert.deepEqual(browser.sent.map((sent) => sent.body.events.length), [2, 2, 2, 2]);
  assert.deepEqual(Object.keys(browser.storage).filter((key) => /:(e1|f)/.test(key)), []);
});

test("Retry-After stops every attempt until then", async () => {
  browser.answers = [{ status: 429, retryAfter: "60" }];
  await begin(() => undefined);
  await flush();
  await flush();
  assert.equal(browser.sent.length, 1);
  assert.ok(browser.timers.some((timer) => timer.ms > 59_000 && timer.ms <= 60_000));
});

test("a batch that is refused as a whole is halved until the culprit is alone", async () => {
  browser.answers = [413, 413, 200, 413, 200, 200].map((status) => ({ status, body: { accepted: 1 } }));
  await begin((web_event) => [1, 2, 3].forEach((n) => web_event.track("n", `${n}`)));
  assert.deepEqual(browser.sent.map((sent) => sent.body.events.length).slice(0, 3), [4, 2, 1]);
  assert.deepEqual(Object.keys(browser.storage).filter((key) => /:e1/.test(key)), []);
});

test("the built stub is smaller than 600 bytes", (context) => {
  try {
    assert.ok(readFileSync("dist/stub.js").length < 600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code != "ENOENT") throw error;
    context.skip("not built");
  }
});
