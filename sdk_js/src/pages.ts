/** When the visitor moves to another page without a load: history calls, back and forward. */

/**
 * What makes a URL another page. An anchor inside a page does not; a hash that serves as a route (`#/` or `#!`) does.
 */
export const pageOf = (url: string): string => url.replace(/#(?![/!]).*/, "");

/** Calls `entered(previous URL)` for each navigation inside the document, but not for the first load. */
export const watchPages = (
  entered: (referrer: string) => void,
  on: (type: string, work: () => void) => void,
): void => {
  let current = location.href;
  const check = (): void => {
    const previous = current;
    current = location.href;
    if (pageOf(current) != pageOf(previous)) entered(previous);
  };
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...call) {
      original.apply(this, call); // its errors belong to the page
      check();
    };
  }
  on("popstate", check);
};
