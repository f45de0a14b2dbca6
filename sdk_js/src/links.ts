/** Optional events that need no call: outbound links, downloads, submitted forms (names of fields, never values). */

import type { Fields, Settings } from "./surface";

type Track = (category: string, action: string, fields: Fields) => void;

const DOWNLOAD = /\.(pdf|zip|gz|rar|7z|dmg|exe|msi|apk|docx?|xlsx?|pptx?|csv|txt|epub|mp[34])$/i;

/** Listens in the capture phase, so that a page that stops propagation is still seen. */
export const watchLinks = (settings: Settings, track: Track, on: (type: string, work: (event: any) => void) => void): void => {
  const click = (event: Event): void => {
    const link = (event.composedPath() as HTMLAnchorElement[]).find((node) => node.href && node.host);
    const file = link && (link.download || DOWNLOAD.test(link.pathname));
    const action =
      file && settings.downloads ? "download" : settings.outbound && link && link.host != location.host && "outbound";
    if (action) track("link", action, { dims: { url: link!.href } });
  };
  on("click", click);
  on("auxclick", click);
  on("submit", ({ target }: { target: HTMLFormElement }) => {
    const fields = [...target.elements].map((field) => field.getAttribute("name")).filter(Boolean);
    if (settings.forms) track("form", "submit", { dims: { form: target.getAttribute("name") || target.id, fields } });
  });
};
