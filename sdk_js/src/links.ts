/** Optional events that need no call: outbound links, downloads, submitted forms (names of fields, never values). */

import { settings } from "./settings";
import type { Fields } from "./surface";

/** A path that ends like a file, and not like a page. */
const DOWNLOAD = /\.(?!html?$|php$|aspx?$)[a-z]\w{1,3}$/i;

/** Listens in the capture phase, so that a page that stops propagation is still seen. */
export const watchLinks = (
  track: (category: string, action: string, fields: Fields) => void,
  on: (type: string, work: (event: any) => void) => void,
): void => {
  const click = (event: Event): void => {
    const link = (event.composedPath() as HTMLAnchorElement[]).find(({ href, host }) => href && host);
    if (!link) return;
    const isFile = settings.downloads && (link.download || DOWNLOAD.test(link.pathname));
    const action = isFile ? "download" : settings.outbound && link.host != location.host && "outbound";
    if (action) track("link", action, { dims: { url: link.href } });
  };
  on("click", click);
  on("submit", ({ target }: { target: HTMLFormElement }) => {
    const dims = { form: target.getAttribute("id"), fields: [...new FormData(target).keys()] };
    if (settings.forms) track("form", "submit", { dims });
  });
};
