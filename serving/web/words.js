// How the page says things.

export const VERBS = {
  view: "viewed", click: "opened", add_to_cart: "put in the cart", purchase: "bought",
  like: "liked", dislike: "turned down", rating: "rated", remove: "removed", search: "searched",
};

export const SOURCES = {
  als: ["taste", "people with your taste (als)"],
  own: ["yours", "your own history (own)"],
  covisitation: ["together", "in the same baskets (covisitation)"],
  linear: ["fits", "fits all you buy (linear)"],
  shelf: ["favourites", "best of your categories (shelf)"],
  content: ["similar", "reads alike (content)"],
  trending: ["trending", "moving now (trending)"],
  popular: ["popular", "many people's choice (popular)"],
};

/** Names in capitals, as tills print them, read as a sentence. */
export function sentence(text) {
  return text === text.toUpperCase() ? text.charAt(0) + text.slice(1).toLowerCase() : text;
}

export function price(amount) {
  return amount == null ? "" : `$${amount.toFixed(2)}`;
}

export function ago(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 2) return "just now";
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name} ago`;
  }
  return `${Math.floor(seconds)} s ago`;
}

/** An element with text; no markup ever comes from data. */
export function tag(name, text, kind = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = kind;
  return element;
}
