/** The script that a page loads: installs `window.web_event` and `window._cdpEventFunction`, once. */

import { attempt } from "./attempt";
import { md5, sha256 } from "./hash";
import { leadTime } from "./lead_time";
import { readSettings } from "./settings";
import { start } from "./start";

attempt(() => {
  const page = window as any;
  if (page.web_event?.version) return;
  page._cdpEventFunction = Object.assign(page._cdpEventFunction || {}, { md5, sha256, _cdpGetLeadTime: leadTime });
  page.web_event = start(readSettings(), page.web_event);
});
