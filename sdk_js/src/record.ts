/** Turns a call into an event: who, where, when and in which order, kept at once and sent soon. */

import { admit } from "./consent";
import { note } from "./debug";
import { personAt, readPerson } from "./identity";
import { uuidv7 } from "./ids";
import { toJson } from "./json";
import { append, keyOf, takeDropped } from "./queue";
import { isRepeated } from "./repeat";
import { wake } from "./sender";
import type { Fields } from "./surface";
import { visitAt } from "./visit";

/** Worth more than the rest when room runs out: who the visitor is, what they sent or bought. */
const VALUABLE = /^user|^form|purchase|order/;

let page: string;
/** The visit in which that page was entered, by device: who deleted their cookies since is somebody else. */
let visitOfPage: Record<string, string> = {};

/** What is recorded from now on belongs to a new page. */
export const turnPage = (at: number): void => void (page = uuidv7(at));

/**
 * `fields` are copied at once, for the page may change its objects after the call, or before consent. `arrival` is how
 * a page was reached, as far as that may begin a visit: the mark of its campaign, and whether from another site.
 */
export const record = (
  at: number,
  category: string,
  action: string,
  fields?: Fields | null,
  ...arrival: [campaign?: string, external?: () => unknown]
): void => {
  const name = `${category}/${action}`;
  const pageId = page;
  const url = location.href;
  const said = JSON.parse(toJson(fields || {})) as Fields;
  admit(at, () => {
    // An exit is no activity: it belongs to the visit of its page, however long ago, and without one there is none.
    const entered = name == "page/exit" && visitOfPage[readPerson()[3]!];
    if (entered == null) return;
    const [, uid, uid_origin, device, seq] = personAt(at, name == "user/reset_anonymous_uid");
    if (category == "user" && isRepeated(uid!, action, said, at)) {
      return note("dropped", "Repeated identify");
    }
    const visit = entered || visitAt(at, ...arrival);
    if (name == "page/view") visitOfPage = { [device!]: visit };
    const event_id = uuidv7(at);
    const key = keyOf(seq!, VALUABLE.test(name), event_id, device!);
    // First what the events of a page have in common, so that a batch need not repeat it.
    const shared = { uid, uid_origin, visit, page: pageId };
    const event = {
      ...shared,
      url,
      ...said,
      event_id,
      category,
      action,
      ...shared,
      seq,
      at,
      dropped: takeDropped(),
    };
    note("tracked", name, event);
    append(key, toJson(event));
    wake(key);
  });
};
