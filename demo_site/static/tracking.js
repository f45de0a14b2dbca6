// Everything this shop tells Regulars, as any site would write it. `web_event` and `_cdpEventFunction` come from the
// published tag: its stub takes the calls until the SDK is there, and swallows them if it never comes.

const facts = JSON.parse(document.getElementById("shop-facts").textContent);
const happened = (kind) => facts.just_happened.includes(kind);

// Who the customer is. The shop keeps e-mails trimmed and in lower case, so the same person always gets the same id.
function customers({ email, ...traits }) {
  return { customer_id: window._cdpEventFunction.md5(email), email, ...traits };
}

function sayWhoThisIs(action, customer) {
  web_event.track("user", action, {
    dims: { customers: customers(customer) },
    extra: {
      identify_id: window._cdpEventFunction.md5(customer.email),
      identify_time: window._cdpEventFunction._cdpGetLeadTime(),
      identify_event: `user_${action}`,
      identify_type: "exact",
    },
  });
}

// What the page itself is about. Page views are not here: the SDK records them by itself.
function tellAboutThisPage() {
  if (facts.viewed) web_event.track("product", "view", { items: [facts.viewed] });
  if (facts.search) web_event.track("product", "search", { extra: facts.search });
  if (facts.checkout) {
    const { items, value, currency } = facts.checkout;
    web_event.track("checkout", "start", { items, extra: { value, currency } });
  }
  if (facts.order) {
    const { items, value, currency, order_id, customer } = facts.order;
    web_event.track("order", "purchase", {
      items,
      dims: { customers: customer },
      extra: { order_id, value, currency },
    });
  }
}

// Signing up and in are told by the page that follows, once the shop knows that they worked; the account's pages say
// again who is there, and the SDK passes that on once a day.
function tellWhoIsHere() {
  if (!facts.customer) return;
  if (happened("signed_up")) sayWhoThisIs("sign_up", facts.customer);
  else if (happened("signed_in")) sayWhoThisIs("sign_in", facts.customer);
  else if (facts.identify) sayWhoThisIs("identify", facts.customer);
}

// Forms that lead away from the page: the SDK keeps each event before the call returns, so nothing has to wait.
const onSubmit = {
  add: (form) => web_event.track("cart", "add", { items: [chosenItem(form)] }),
  remove: (form) => web_event.track("cart", "remove", { items: [chosenItem(form)] }),
  newsletter: (form) =>
    web_event.track("form", "submit", {
      email: form.elements.namedItem("email").value,
      extra: { form: "newsletter", place: form.dataset.place },
    }),
  "sign-out": () => web_event.signOut(),
  forget: () => web_event.resetAnonymousUId(),
};

function chosenItem(form) {
  return { ...JSON.parse(form.dataset.item), quantity: Number(form.elements.namedItem("quantity").value) };
}

tellAboutThisPage();
tellWhoIsHere();
document.addEventListener("submit", (event) => onSubmit[event.target.dataset.track]?.(event.target));
