/**
 * The inline part of the published tag. Until the SDK arrives, calls queue up with their time, and the hash functions
 * return empty strings that turn into the true value when the SDK serialises them. If it never arrives, nothing breaks.
 */

(() => {
  const page = window as any;
  const event = (page.web_event = page.web_event || {});
  const functions = (page._cdpEventFunction = page._cdpEventFunction || {});
  if (event.queue) return;
  const queue: any = (event.queue = []);
  queue.push = (call: any) => {
    call.time = Date.now();
    queue[queue.length] = call;
  };
  "track identify page resetAnonymousUId signOut consent ready flush debug".split(" ").map((name) => {
    event[name] = (...args: unknown[]) => queue.push([name, ...args]);
  });
  const defer = (name: string, value: unknown) =>
    Object.assign(new String(""), { toJSON: () => functions[name](value) });
  functions.md5 = (text: unknown) => defer("md5", text);
  functions.sha256 = async (text: string) =>
    [...new Uint8Array((await crypto.subtle?.digest("SHA-256", new TextEncoder().encode(text)))!)]
      .map((byte) => (byte | 256).toString(16).slice(1))
      .join("");
  functions._cdpGetLeadTime = () => defer("_cdpGetLeadTime", Date.now());
})();
