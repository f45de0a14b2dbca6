/** The site's settings, and where the script finds them: what the collector wrapped round it, or its own element. */

import type { Settings } from "./surface";

declare const __REGULARS_SETTINGS__: Partial<Settings> | undefined;

/** Filled once, by `start`. */
export const settings = {} as Settings;

/** The address of one of the collector's endpoints for this site. */
export const endpoint = (name: string): string => `${settings.base}v1/${name}?site=${settings.site}`;

/**
 * The collector's address is all of the script's URL before `sdk.js` or `sdk/{version}/sdk.js`; the site key may
 * follow. Without settings from the collector they are attributes of the same names: data-consent="required",
 * data-own_domains="a.example,b.example", data-forms="on" (whatever is not empty switches on).
 */
export const settingsOf = (src: string, served: Partial<Settings>): Settings => {
  const [, base, , , site] = /^(.*?)(sdk\/[^/]+\/)?sdk\.js(.*\bsite=([^&#]*))?/.exec(src)!;
  return { site: site!, ...served, base: base! };
};

/** Throws when there is no script element to read from. */
export const readSettings = ({ src, dataset } = document.currentScript as HTMLScriptElement): Settings =>
  settingsOf(src, typeof __REGULARS_SETTINGS__ == "undefined" ? (dataset as Partial<Settings>) : __REGULARS_SETTINGS__);
