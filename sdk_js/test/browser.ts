/** As much of a browser as the modules under test touch. Import it before them. */

interface Sent {
  url: string;
  body: { events: { event_id: string; seq: number }[]; device: string; [shared: string]: unknown };
  credentials: string;
}

/** Cookies of `www.shop.co.uk`, whose registrable domain is found by trying. */
export const jar = new Map<string, string>();
export const domains = new Set<string>();

export const browser = {
  storage: {} as Record<string, string>,
  sent: [] as Sent[],
  /** What the collector answers next; by default it stores. */
  answers: [] as { status: number; body?: unknown; retryAfter?: string }[],
  timers: [] as { ms: number; run: () => void }[],
  /** How often the cookies were read. */
  reads: 0,
  hidden: false,
  focused: true,
};

const fetchFake = async (url: string, { body, credentials }: { body: string; credentials: string }) => {
  const sent = { url, body: JSON.parse(body), credentials };
  browser.sent.push(sent);
  const answer = browser.answers.shift() || { status: 200, body: { accepted: sent.body.events.length } };
  if (!answer.status) throw new TypeError("no network");
  return {
    status: answer.status,
    headers: { get: () => answer.retryAfter ?? null },
    json: async () => answer.body ?? {},
  };
};

const documentFake = {
  title: "Title",
  referrer: "",
  hasFocus: () => browser.focused,
  get hidden(): boolean {
    return browser.hidden;
  },
  get cookie(): string {
    browser.reads++;
    return [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
  },
  set cookie(text: string) {
    const [, name, value] = /^([^=]*)=([^;]*)/.exec(text)!;
    const domain = /domain=([^;]*)/.exec(text)?.[1] || "";
    if (domain == "co.uk") return; // a public suffix
    domains.add(domain);
    if (/max-age=0(;|$)/.test(text)) jar.delete(name!);
    else jar.set(name!, value!);
  },
};

const define = (name: string, value: unknown): unknown =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

define("localStorage", browser.storage);
define("document", documentFake);
define("location", new URL("https://www.shop.co.uk/page?utm_source=mail#top"));
define("navigator", { sendBeacon: () => true });
define("fetch", fetchFake);
define("setTimeout", (run: () => void, ms = 0) => browser.timers.push({ ms, run }));
define("clearTimeout", (index: number) => {
  if (browser.timers[index - 1]) browser.timers[index - 1]!.run = () => undefined;
});
