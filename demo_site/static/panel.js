// The little panel: what the SDK says about itself, through the public web_event.debug(fn), made readable.
// It outlives a page (sessionStorage, only where recording is allowed), because forms lead away from the page.

const facts = JSON.parse(document.getElementById("shop-facts").textContent);
const KEPT = 200;
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
// whatever waits, oldest first, so an answer is about everything that was tracked before the sending. A duplicate was
// stored before.
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
        if (one && verdict.status !== "duplicate") Object.assign(one, { fate: verdict.status, code: verdict.code });
      }
    }
  }
  return [...known.values()];
}

function eventRow({ event, fate, code, at }) {
  return element(
    "li",
    "",
    element("b", "", `${event.category}/${event.action}`),
    element("span", `fate ${fate}`, code ? `${fate}: ${code}` : fate),
    element("span", "what", summary(event)),
    element("span", "when", time(at)),
  );
}

function summary(event) {
  if (event.extra?.active_ms >= 0) return `${pathOf(event)}, active for ${(event.extra.active_ms / 1000).toFixed(1)} s`;
  if (event.email) return event.email;
  if (event.dims?.customers?.email) return event.dims.customers.email;
  if (event.items?.length) return event.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
  return pathOf(event);
}

function pathOf(event) {
  try {
    return new URL(event.url).pathname;
  } catch {
    return "";
  }
}

function logRow({ kind, text, at }) {
  return element("li", kind, element("span", "when", time(at)), element("b", "", kind), element("span", "", text));
}

// The newest thing the collector said, or why it said nothing.
function lastAnswer() {
  const worthTelling = ({ kind, data }) => (kind === "answered" ? data : kind === "error" || kind === "waiting");
  return state.entries.findLast(worthTelling);
}

function sentence(answer) {
  if (answer?.kind !== "answered") return answer?.text ?? "no answer yet";
  const { accepted, duplicate, quarantined, suppressed } = answer.data;
  const counts = { stored: accepted, "known already": duplicate, quarantined, suppressed };
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  return told.map(([words, count]) => `${count} ${words}`).join(", ");
}

function draw() {
  const events = fates().reverse();
  const answer = lastAnswer();
  part("count").textContent = String(events.length);
  part("dot").className = `dot ${answer?.kind ?? ""}`;
  if (body.hidden) return;
  part("uid").textContent = events[0]?.event.uid ?? "none yet";
  part("answer").textContent = sentence(answer);
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
  panel.scrollIntoView({ block: "nearest", behavior: "instant" }); // on a phone it unfolds below the end of the page
  remember();
});
web_event.debug(({ kind, text, data }) => {
  state.entries = [...state.entries, { kind, text, data, at: Date.now() }].slice(-KEPT);
  remember();
  draw();
});
