/** Puts the parts together, listens to the browser, and takes over the calls that came before. */

import { createConsent } from "./consent";
import { createCookies } from "./cookies";
import { createDebug } from "./debug";
import { createIdentity } from "./identity";
import { uuidv7 } from "./ids";
import { watchLinks } from "./links";
import { createLock } from "./lock";
import { createMethods } from "./methods";
import { createPageViews } from "./page_views";
import { watchPages } from "./pages";
import { createQueue } from "./queue";
import { createRecord } from "./record";
import { createSender } from "./sender";
import { createStore } from "./storage";
import type { QueuedCall, Settings, WebEvent } from "./surface";
import { createVisits, isExternal } from "./visit";

/** True for the load that brought the visitor here; a reload or "back" keeps its old referrer and brought nobody. */
const isFreshLoad = (): boolean =>
  (performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming).type == "navigate";

/** Calls that come first whenever they were made: they decide what the others may do, and who hears of it. */
const URGENT = /^(consent|debug)$/;

/** Completes `web_event` in place, records the page view, and replays the calls queued on it. Never throws. */
export const start = (settings: Settings, web_event = {} as WebEvent): WebEvent => {
  const debug = createDebug();
  const guard = debug.guard_;
  const on = (type: string, work: (event: any) => unknown): void =>
    addEventListener(type, (event) => guard(() => work(event)), true);

  void guard(() => {
    const { base, site } = settings;
    const store = createStore(`_regulars:${site}:`);
    const cookies = createCookies(store);
    const queue = createQueue(store, debug, Date.now);
    const identity = createIdentity(cookies, queue.lastSeq_());
    const visits = createVisits(cookies);
    const lock = createLock("_regulars:" + site, store, uuidv7(Date.now()));
    const sender = createSender(`${base}v1/collect?site=${site}`, store, queue, lock, identity, debug);
    const consent = createConsent(settings, store, identity, visits, queue, debug);
    const record = createRecord(store, identity, visits, queue, sender, consent, debug);
    const pages = createPageViews(record);
    const methods = createMethods(web_event, pages, record, sender, consent, debug);

    const call = (name: string, args: unknown[], at = Date.now()): any => guard(() => methods[name]!(at, ...args));
    const replay = (entry: QueuedCall): void => call(entry[0], entry.slice(1), entry.at);
    const leave = (): Promise<void> => {
      pages.settle_();
      identity.save_();
      return sender.leave_();
    };
    const enter = (referrer: string): void => {
      pages.enter_(Date.now(), referrer);
      setTimeout(() => guard(pages.settle_)); // routers set the title after they set the URL
    };

    const { referrer } = document;
    const earlier = (web_event.queue || []) as QueuedCall[];
    const replayEarlier = (urgent: boolean): void =>
      earlier.filter(([name]) => URGENT.test(name) == urgent).forEach(replay);
    for (const name in methods) (web_event as any)[name] = (...args: unknown[]) => call(name, args);
    web_event.queue = { push: (...calls) => calls.forEach(replay) };
    web_event.version = __VERSION__;

    debug.listen_(settings.debug || /\bregulars_debug=1/.test(location.search));
    consent.heed_();
    replayEarlier(true);
    const own = [location.hostname, cookies.domain_(), ...`${settings.own_domains}`.split(",")];
    pages.enter_(
      Math.min(Date.now(), ...earlier.map(({ at }) => at!).filter(Boolean)),
      referrer,
      isFreshLoad() && isExternal(referrer, own),
    );
    pages.settle_();
    replayEarlier(false);

    on("pagehide", leave);
    on("visibilitychange", () => (document.hidden ? leave : sender.flush_)());
    on("online", sender.flush_);
    on("pageshow", (event: PageTransitionEvent) => event.persisted && enter(referrer));
    watchPages((previous) => guard(() => enter(previous)), on);
    watchLinks(settings, (...args) => call("track", args), on);
    sender.wake_("");
  });
  return web_event;
};
