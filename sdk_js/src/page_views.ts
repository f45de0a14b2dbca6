/** The pages that the visitor is on, one after the other: each begins with a view and ends with an exit. */

import { activeMs } from "./attention";
import { campaignOf } from "./campaign";
import { guard } from "./debug";
import { md5 } from "./hash";
import { toJson } from "./json";
import { record, turnPage } from "./record";
import type { Fields } from "./surface";

let url: string; // of this page, as it was entered
let activeBefore: number; // active time of the document up to this page
let left: boolean; // an exit of this page was recorded, and the visitor did not come back since
let view: (() => void) | undefined; // records the view of this page, while that is still to be done

/** Records the view of this page, unless it was. */
export const viewPage = (): void => void (view = view?.() as undefined);

/** This page ends, or may be about to, at `at` (ms). A page that is hidden and then left says so once. */
export const exitPage = (at: number): void => {
  viewPage();
  const active_ms = activeMs() - activeBefore;
  if (!left) record(at, "page", "exit", { url, extra: { active_ms } });
  left = true;
};

/** The visitor is back on this page, and its active time goes on. */
export const returnToPage = (): void => {
  left = false;
  activeMs();
};

/** A page begins at `at` (ms); `viewPage` then records its view. `external` says that another site brought the visitor. */
export const enterPage = (at: number, referrer: string, external?: () => unknown, extra?: Fields["extra"]): void => {
  left = false;
  activeBefore = activeMs();
  turnPage(at);
  url = location.href;
  view = () => {
    const campaign = campaignOf(url);
    const mark = campaign && md5(toJson(campaign));
    record(at, "page", "view", { url, title: document.title, referrer, campaign, extra }, mark, external);
  };
};

/** A page begins now, inside the document. Its view is recorded in a moment: routers set the title after the URL. */
export const enterPageSoon = (referrer: string): void => {
  enterPage(Date.now(), referrer);
  setTimeout(() => guard(viewPage));
};
