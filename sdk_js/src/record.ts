/** Turns a call into an event: who, where, when and in which order, kept at once and sent soon. */

import { admit } from "./consent";
import { note } from "./debug";
import { nextSeq, personAt } from "./identity";
import { uuidv7 } from "./ids";
import { toJson } from "./json";
import { append, keyOf, takeDropped } from "./queue";
import { isRepeated } from "./repeat";
import { wake } from "./sender";
import type { Fields } from "./surface";
import { visitAt } from "./visit";

/** What only a page view says. */
export interface PageDetails {
  url: string;
  title: string;
  referrer: string;
  campaign: Record<string, string> | undefined;
}

/** Worth more than the rest when room runs out: who the visitor is, and what they bought. */
const VALUABLE = /^user\/|purchase|order/;

let page: string;

/** What is recorded from now on belongs to a new page. */
export const turnPage = (at: number): void => void (page = uuidv7(at));

/** `arrival` is how a page was reached, as far as that may begin a visit: by a campaign, from another site. */
export const record = (
  at: number,
  category: string,
  action: string,
  fields?: Fields | null,
  details?: PageDetails,
  ...arrival: [campaign?: string, external?: () => boolean]
): void => {
  const name = `${category}/${action}`;
  const pageId = page;
  const url = location.href;
  // Copied, for the page may change its objects after the call, or before consent.
  const { dims, items, extra, email } = JSON.parse(toJson(fields || {})) as Fields;
  admit(at, () => {
    const [, uid, uid_origin, device] = personAt(at, "", name == "user/reset_anonymous_uid");
    if (category == "user" && isRepeated(uid!, action, [dims, extra, email], at)) {
      return note("dropped", "The same identify within 24 hours");
    }
    const visit = visitAt(at, ...arrival);
    const seq = nextSeq();
    const event_id = uuidv7(at);
    const key = keyOf(seq, VALUABLE.test(name) || !!email, event_id, device!);
    const event = {
      event_id,
      category,
      action,
      uid,
      uid_origin,
      visit,
      page: pageId,
      seq,
      at,
      url,
      ...details,
      dims,
      items,
      extra,
      email,
      dropped: takeDropped(),
    };
    note("tracked", `${name}, number ${seq}`, event);
    append(key, toJson(event), Date.now());
    wake(key);
  });
};
