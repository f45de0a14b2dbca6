/** The page views, which say what page the visitor is on. */

import { campaignOf } from "./campaign";
import { guard } from "./debug";
import { md5 } from "./hash";
import { toJson } from "./json";
import { record, turnPage } from "./record";
import type { Fields } from "./surface";

/** A page begins at `at` (ms): records its view. `external` says that another site brought the visitor. */
export const viewPage = (
  at: number,
  referrer: string,
  external?: () => unknown,
  extra?: Fields["extra"],
  url = location.href,
): void => {
  const campaign = campaignOf(url);
  const mark = campaign && md5(toJson(campaign));
  record(at, "page", "view", { url, title: document.title, referrer, campaign, extra }, mark, external);
};

/** A page begins now, inside the document. Its view is recorded in a moment: routers set the title after the URL. */
export const viewPageSoon = (referrer: string): void => {
  const at = Date.now();
  const url = location.href;
  turnPage(at);
  setTimeout(() => guard(() => viewPage(at, referrer, undefined, undefined, url)));
};
