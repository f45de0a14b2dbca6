/** Takes over the calls that came before, records the page view, and listens to the browser. */

import { activeMs } from "./attention";
import { heedBrowser } from "./consent";
import { cookieDomain } from "./cookies";
import { guard, listen } from "./debug";
import { savePerson } from "./identity";
import { watchLinks } from "./links";
import { methods } from "./methods";
import { enterPage, enterPageSoon, exitPage, returnToPage, viewPage } from "./page_views";
import { watchPages } from "./pages";
import { flush, leave } from "./sender";
import { settings } from "./settings";
import type { QueuedCall, Settings, WebEvent } from "./surface";
import { isExternal } from "./visit";

/** True for the load that brought the visitor here; a reload or "back" keeps its old referrer and brought nobody. */
const isFreshLoad = (): boolean =>
  !performance.navigation.type; // (deprecated, but everywhere, and short)

const on = (type: string, work: (event: any) => unknown): void =>
  addEventListener(type, (event) => guard(() => work(event)), true);

const leavePage = (): Promise<void> => {
  exitPage(Date.now());
  savePerson();
  return leave();
};

const comeBack = (): unknown => {
  returnToPage();
  return flush();
};

/** Completes `web_event` in place, records the page view, and replays the calls queued on it. Never throws. */
export const start = (given: Settings, web_event = {} as WebEvent): WebEvent => {
  const call = (at: number | undefined, name: string, ...args: unknown[]): any =>
    guard(() => methods[name]!(at || Date.now(), ...args));
  const replay = (entry: QueuedCall): void => call(entry.time, ...(entry as [string, ...unknown[]]));
  const earlier = (web_event.queue || []) as QueuedCall[];

  void guard(async () => {
    // Where the stub takes calls meanwhile, begin on an empty stack: before it lets a cookie be read, Chromium finds the
    // line of every function that is running, and parses each of them again for that.
    if (web_event.queue) await 0;
    const { referrer } = document;
    Object.assign(settings, given);
    for (const name in methods) (web_event as any)[name] = (...args: unknown[]) => call(0, name, ...args);
    web_event.queue = earlier; // the same array, for the page may hold it
    web_event.version = __VERSION__;

    listen(0, settings.debug || /regulars_debug=1/.test(location.search));
    heedBrowser();
    // (Asked after the first cookie was written, and so has found its domain.)
    const isArrival = (): unknown =>
      isFreshLoad() &&
      isExternal(referrer, `${[cookieDomain || location.hostname, settings.own_domains]}`.split(","));
    const at = earlier[0]?.time || Date.now(); // the view comes before what was tracked before it
    enterPage(at, referrer, isArrival);
    viewPage();
    earlier.forEach(replay);
    earlier.push = (...calls): any => calls.forEach(replay);

    on("pagehide", leavePage);
    on("visibilitychange", () => (document.hidden ? leavePage() : comeBack()));
    on("focus", activeMs);
    on("blur", activeMs);
    on("online", flush);
    on("pageshow", (event: PageTransitionEvent) => event.persisted && enterPageSoon(referrer));
    watchPages((previous) => guard(() => { exitPage(Date.now()); enterPageSoon(previous) }), on);
    watchLinks((...args) => call(0, "track", ...args), on);
  });
  return web_event;
};
