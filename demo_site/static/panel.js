// The little panel: what the SDK says about itself, through the public web_event.debug(fn), made readable.
// It outlives a page (sessionStorage, only where recording is allowed), because forms lead away from the page.

const facts = JSON.parse(document.getElementById("shop-facts").textContent);
const KEPT = 40;
const EVENTS_SHOWN = 12;
const STORAGE_KEY = "shop_panel";
const panel = document.querySelector("[data-panel]");
const part = (name) => panel.querySelector(`[data-panel-${name}]`);
const toggle = panel.querySelector("button");
const body = document.getElementById(toggle.getAttribute("aria-controls"));

const mayStore = () => facts.consent !== "required" || document.cookie.includes("shop_consent=granted");

function recall() {
  try {
    return { open: false, entries: [], ...JSON.parse(sessionStorage.getItem(STORAGE_KEY)) };
  } catch {
    return { open: false, entries: [] };
  }
}

function remember() {
  try {
    if (mayStore()) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(state));
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Storage is full or blocked: the panel then only knows this page.
  }
}

const state = recall();

// Elements are built, never parsed from text: the shop's policy forbids HTML from strings.
function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

const time = (at) => new Date(at).toLocaleTimeString("en-GB");

// What became of each event, oldest first: kept in the browser, sent, or the collector's verdict. The SDK sends
// whatever waits, oldest first, so an answer is about everything that was tracked before the sending.
function fates() {
  const known = new Map();
  const turn = (from, to) => {
    for (const one of known.values()) if (one.fate === from) one.fate = to;
  };
  for (const { kind, data, at } of state.entries) {
    if (kind === "tracked" && data?.event_id) known.set(data.event_id, { event: data, fate: "kept", at });
    if (kind === "sent") turn("kept", "sent");
    if (kind === "waiting" || kind === "error") turn("sent", "kept");
    if (kind === "answered") {
      turn("sent", "stored");
      for (const verdict of data?.results ?? []) {
        const one = known.get(verdict.event_id);
        if (one) Object.assign(one, { fate: verdict.status, code: verdict.code });
      }
    }
  }
  return [...known.values()];
}

function eventRow({ event, fate, code, at }) {
  const name = element("b", "", `${event.category}/${event.action}`);
  const details = element("span", "what", summary(event));
  return element("li", "", name, element("span", `fate ${fate}`, code ? `${fate}: ${code}` : fate), details, element("span", "when", time(at)));
}

function summary(event) {
  if (event.email) return event.email;
  if (event.dims?.customers?.email) return event.dims.customers.email;
  if (event.items?.length) return event.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
  try {
    return new URL(event.url).pathname;
  } catch {
    return "";
  }
}

function logRow({ kind, text, at }) {
  return element("li", kind, element("span", "when", time(at)), element("b", "", kind), element("span", "", text));
}

function draw() {
  const events = fates().reverse();
  const lastAnswer = state.entries.findLast(({ kind }) => kind === "answered" || kind === "error" || kind === "waiting");
  part("count").textContent = String(events.length);
  part("dot").className = `dot ${lastAnswer?.kind ?? ""}`;
  if (body.hidden) return;
  const uid = events.find(({ event }) => event.uid)?.event.uid;
  part("uid").textContent = uid ?? "none yet";
  part("answer").textContent = lastAnswer?.text ?? "no answer yet";
  part("events").replaceChildren(...events.slice(0, EVENTS_SHOWN).map(eventRow));
  part("log").replaceChildren(...state.entries.toReversed().map(logRow));
}

function open(yes) {
  state.open = yes;
  body.hidden = !yes;
  toggle.setAttribute("aria-expanded", String(yes));
  draw();
}

panel.hidden = false;
open(state.open);
toggle.addEventListener("click", () => {
  open(body.hidden);
  remember();
});
web_event.debug(({ kind, text, data }) => {
  state.entries = [...state.entries, { kind, text, data, at: Date.now() }].slice(-KEPT);
  remember();
  draw();
});
