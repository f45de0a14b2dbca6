/** The page the visitor is on, and the page views that say so. */

import { campaignOf } from "./campaign";
import { md5 } from "./hash";
import { toJson } from "./json";
import type { Page, RecordEvent } from "./record";
import type { Fields } from "./surface";

export interface PageViews {
  current_(): Page;
  /** A page begins at `at` (ms). Its view is recorded by the next `settle_`, once it has its title. */
  enter_(at: number, referrer: string, external?: boolean, extra?: Fields["extra"]): void;
  /** Records the page view that is still unsaid; everything else that is recorded comes after it. */
  settle_(): void;
}

export const createPageViews = (record: RecordEvent): PageViews => {
  let page: Page = {};
  let unsaid: (() => void) | undefined;
  const settle = (): void => {
    const say = unsaid;
    unsaid = undefined;
    say?.();
  };
  return {
    current_: () => page,
    enter_(at, referrer, external, extra) {
      settle();
      const url = location.href;
      const campaign = campaignOf(location.search);
      const mark = campaign && md5(toJson(campaign)).slice(0, 8);
      page = {};
      unsaid = () =>
        record(at, page, "page", "view", { extra }, { url, title: document.title, referrer, campaign }, mark, external);
    },
    settle_: settle,
  };
};
