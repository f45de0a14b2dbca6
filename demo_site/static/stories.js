// The stories as a single-page application: opening one is a new address (pushState), choosing a topic changes the
// address in place (replaceState), and the browser's own buttons work. Regulars notices all of it by itself.

const root = document.querySelector("[data-stories]");
const views = [...root.querySelectorAll("[data-view]")];
const shopName = " · Sorrel & Tin";

// Shows what an address stands for. The title changes before the address does, so that a page view has the right one.
function show(address) {
  const slug = address.pathname.split("/")[2] ?? "list";
  for (const view of views) view.hidden = view.dataset.view !== slug;
  const shown = views.find((view) => !view.hidden);
  document.title = (shown?.dataset.title ?? "Stories") + shopName;
  if (slug === "list") showTopic(address.searchParams.get("topic") ?? "");
  return shown;
}

function showTopic(topic) {
  for (const item of root.querySelectorAll("[data-story-topic]")) {
    item.hidden = topic !== "" && item.dataset.storyTopic !== topic;
  }
  for (const chip of root.querySelectorAll("[data-topic]")) {
    if (chip.dataset.topic === topic) chip.setAttribute("aria-current", "page");
    else chip.removeAttribute("aria-current");
  }
}

function open(address) {
  const shown = show(address);
  history.pushState(null, "", address);
  scrollTo({ top: 0, behavior: "instant" });
  shown?.querySelector("h1")?.focus({ preventScroll: true });
}

function choose(address) {
  show(address);
  history.replaceState(null, "", address);
}

root.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-story], a[data-list], a[data-topic]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const address = new URL(link.href);
  if ("topic" in link.dataset) choose(address);
  else open(address);
});
addEventListener("popstate", () => show(new URL(location.href)));
