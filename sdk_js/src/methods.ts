/** The public surface: what each call of `web_event` means. `at` is when it was called (ms epoch). */

import { decide } from "./consent";
import { listen } from "./debug";
import { leadTime } from "./lead_time";
import { enterPage, exitPage, viewPage } from "./page_views";
import { record } from "./record";
import { flush } from "./sender";

export const methods: Record<string, (at: number, ...args: any[]) => unknown> = {
  track: record,
  identify: (at, cid, traits) =>
    record(at, "user", "identify", {
      dims: { customers: { ...traits, customer_id: cid } },
      extra: {
        identify_event: "user_identify",
        identify_type: "exact",
        identify_time: leadTime(at),
        identify_id: cid,
      },
    }),
  page(at, extra) {
    exitPage(at);
    enterPage(at, document.referrer, undefined, extra);
    viewPage();
  },
  resetAnonymousUId: (at) => record(at, "user", "reset_anonymous_uid"),
  signOut: (at) => record(at, "user", "sign_out"),
  consent: decide,
  ready: (_at, callback) => callback(),
  flush,
  debug: listen,
};
