/** The public surface: what each call of `web_event` means. `at` is when it was called (ms epoch). */

import type { Consent } from "./consent";
import type { Debug } from "./debug";
import { leadTime } from "./lead_time";
import type { PageViews } from "./page_views";
import type { RecordEvent } from "./record";
import type { Sender } from "./sender";
import type { WebEvent } from "./surface";

export type Methods = Record<string, (at: number, ...args: any[]) => unknown>;

export const createMethods = (
  web_event: WebEvent,
  pages: PageViews,
  record: RecordEvent,
  sender: Sender,
  consent: Consent,
  debug: Debug,
): Methods => {
  const track = (at: number, category: string, action: string, fields?: object): void => {
    pages.settle_();
    record(at, pages.current_(), category, action, fields);
  };
  return {
    track,
    identify: (at, cid, traits) =>
      track(at, "user", "identify", {
        dims: { customers: { ...traits, customer_id: cid } },
        extra: {
          identify_id: cid,
          identify_time: leadTime(at),
          identify_event: "user_identify",
          identify_type: "exact",
        },
      }),
    page(at, extra) {
      pages.enter_(at, document.referrer, false, extra);
      pages.settle_();
    },
    resetAnonymousUId: (at) => track(at, "user", "reset_anonymous_uid"),
    signOut: (at) => track(at, "user", "sign_out"),
    consent: consent.decide_,
    ready: (_at, callback) => callback(web_event),
    flush: sender.flush_,
    debug: (_at, on) => debug.listen_(on),
  };
};
