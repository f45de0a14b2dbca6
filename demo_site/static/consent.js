// The banner of a shop that asks first. It remembers the answer in a cookie of its own and passes it to Regulars.

const COOKIE = "shop_consent";
const HALF_A_YEAR_S = 180 * 24 * 3600;
const banner = document.querySelector("[data-consent-banner]");

function decide(state) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=${state}; Path=/; Max-Age=${HALF_A_YEAR_S}; SameSite=Lax${secure}`;
  web_event.consent(state);
  banner.hidden = true;
}

for (const button of banner.querySelectorAll("[data-consent]")) {
  button.addEventListener("click", () => decide(button.dataset.consent));
}
for (const button of document.querySelectorAll("[data-consent-open]")) {
  button.addEventListener("click", () => {
    banner.hidden = false;
    banner.querySelector("button").focus();
  });
}
