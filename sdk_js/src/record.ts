/** Turns a call into an event: who, where, when and in which order, kept at once and sent soon. */

import type { Consent } from "./consent";
import type { Debug } from "./debug";
import type { Identity } from "./identity";
import { uuidv7 } from "./ids";
import { toJson } from "./json";
import type { Queue } from "./queue";
import { isRepeated } from "./repeat";
import type { Sender } from "./sender";
import type { Store } from "./storage";
import type { Fields } from "./surface";
import type { Visits } from "./visit";

/** A page; it gets its id with its first event, so that none exists before consent. */
export interface Page {
  id_?: string;
}

/** What only a page view says. */
export interface PageDetails {
  url: string;
  title: string;
  referrer: string;
  campaign: Record<string, string> | undefined;
}

export type RecordEvent = (
  at: number,
  page: Page,
  category: string,
  action: string,
  fields?: Fields | null,
  details?: PageDetails,
  /** Its mark of a campaign, and whether it was reached from another site: either may begin a visit. */
  ...arrival: [campaign?: string, external?: boolean]
) => void;

/** Worth more than the rest when room runs out: who the visitor is, and what they bought. */
const VALUABLE = /^user\/|purchase|order/;

export const createRecord =
  (
    store: Store,
    identity: Identity,
    visits: Visits,
    queue: Queue,
    sender: Sender,
    consent: Consent,
    debug: Debug,
  ): RecordEvent =>
  (at, page, category, action, fields, details, ...arrival) => {
    const name = `${category}/${action}`;
    if (!category || !action) return debug.note_("error", `No category or no action: ${name}`);
    // Copied, for the page may change its objects after the call, or before consent.
    const { dims, items, extra, email } = JSON.parse(toJson(fields || {})) as Fields;
    const url = location.href;
    consent.admit_(at, () => {
      const [, uid, uid_origin, device] = identity.person_(at, "", name == "user/reset_anonymous_uid");
      if (category == "user" && isRepeated(store, uid!, action, [dims, extra, email], at)) {
        return debug.note_("dropped", "The same identify within 24 hours");
      }
      const seq = identity.nextSeq_();
      const visit = visits.current_(at, ...arrival);
      const event_id = uuidv7(at);
      page.id_ = page.id_ || uuidv7(at);
      const dropped = queue.takeDropped_() || undefined;
      const event = {
        event_id,
        category,
        action,
        uid,
        uid_origin,
        visit,
        page: page.id_,
        seq,
        at,
        url,
        ...details,
        dims,
        items,
        extra,
        email,
        dropped,
      };
      debug.note_("tracked", `${name}, number ${seq}`, event);
      sender.wake_(queue.append_(seq, VALUABLE.test(name) || !!email, event_id, device!, toJson(event)));
    });
  };
