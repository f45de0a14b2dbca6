/** Where the SDK finds the site's settings: what the collector wrapped round it, or its own script element. */

import type { Settings } from "./surface";

declare const __REGULARS_SETTINGS__: Partial<Settings> | undefined;

/** The collector's address: all of the script's URL before `sdk.js` or `sdk/{version}/sdk.js`. */
export const baseOf = (src: string): string => src.replace(/(sdk\/[^/]+\/)?sdk\.js.*/, "");

/**
 * Without settings from the collector they are attributes of the same names: data-consent="required",
 * data-own_domains="a.example,b.example", data-forms="on" (whatever is not empty switches on).
 */
export const settingsOf = (src: string, served: Partial<Settings>): Settings => ({
  site: new URL(src).searchParams.get("site")!,
  ...served,
  base: baseOf(src),
});

/** Throws when there is no script element to read from. */
export const readSettings = (): Settings => {
  const script = (document.currentScript || document.querySelector('script[src*="sdk.js"]')) as HTMLScriptElement;
  return settingsOf(
    script.src,
    typeof __REGULARS_SETTINGS__ == "undefined" ? (script.dataset as Partial<Settings>) : __REGULARS_SETTINGS__,
  );
};
