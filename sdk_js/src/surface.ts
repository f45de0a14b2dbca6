/** What a page may call, and what it may pass: the public types of the SDK, and nothing that runs. */

/** A value that JSON can carry. Values the page computes through the stub resolve while they are serialised. */
export type Json = unknown;

/** The third argument of `track`. `email` is lifted to the top level of the event, where it asserts an address. */
export interface Fields {
  dims?: Record<string, Json>;
  items?: Json[];
  extra?: Record<string, Json>;
  email?: Json;
  /** Any other field is kept with the event; `url` replaces the page's own. */
  [name: string]: Json;
}

export type ConsentState = "granted" | "denied";

/** One readable line about what the SDK did. */
export interface DebugEntry {
  kind: "tracked" | "sent" | "answered" | "dropped" | "waiting" | "error";
  text: string;
  data?: unknown;
}

export type DebugListener = (entry: DebugEntry) => void;

/** A call by name, as pushed on `web_event.queue`; the stub adds the time of the call (ms epoch). */
export type QueuedCall = [name: string, ...args: any[]] & { time?: number };

/** `window.web_event`. No method ever throws. */
export interface WebEvent {
  /** Records `category/action` now, durably, and sends it soon. */
  track(category: string, action: string, fields?: Fields): void;
  /**
   * Says who the visitor is; an identical call within 24 hours is not sent again. The trait `identity_token` is what the
   * site's server has signed to prove it.
   */
  identify(cid: string, traits?: Record<string, Json>): void;
  /** Records a page view by hand, and the exit of the page before; loads and SPA navigations are recorded without it. */
  page(extra?: Record<string, Json>): void;
  /** Starts over as a new anonymous visitor (the logout call). */
  resetAnonymousUId(): void;
  /** The customer signed out; the anonymous id stays. */
  signOut(): void;
  /** Records the visitor's decision; denial deletes ids and unsent events. */
  consent(state: ConsentState): void;
  /** Calls back once the SDK runs. */
  ready(callback: (web_event: WebEvent) => void): void;
  /** Sends what is waiting; resolves after the attempt. */
  flush(): Promise<void>;
  /** Readable lines on the console (`true`), or to a listener, which gets the recent ones too. */
  debug(on: boolean | DebugListener): void;
  /** `push(["track", …])` works before and after the SDK has loaded. */
  queue: { push(...calls: QueuedCall[]): unknown };
  version: string;
}

/** `window._cdpEventFunction`. */
export interface CdpEventFunction {
  /** Hex MD5 of the text's UTF-8 bytes. */
  md5(text: unknown): string;
  /** Hex SHA-256 of the text's UTF-8 bytes. */
  sha256(text: unknown): Promise<string>;
  /** Local `YYYY-MM-DD HH:MM:SS` of now, or of a time in ms. */
  _cdpGetLeadTime(at?: number): string;
}

/** The site's choices. `base` is the collector's address including any path prefix, ending in a slash. */
export interface Settings {
  base: string;
  site: string;
  consent?: "not_required" | "required";
  gpc?: boolean;
  own_domains?: string[];
  outbound?: boolean;
  downloads?: boolean;
  forms?: boolean;
  debug?: boolean;
}
