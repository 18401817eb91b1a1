// The storefront: shows a list, sends what is clicked, and shows how soon the list follows.
"use strict";

const LIST = 10;
const POLL_MS = 60;
const PATIENCE_MS = 15000;
const EMOJI = [
  [/soft drink|soda|ginger ale|juice|beverage|water/, "🥤"], [/milk|dairy|yogh?urt|cream/, "🥛"], [/cheese/, "🧀"], [/bread|bun|roll|bakery|bagel/, "🍞"],
  [/cake|cookie|dessert|pastr|donut|sweet goods/, "🍰"], [/banana|tropical/, "🍌"],
  [/apple/, "🍎"], [/berr/, "🍓"], [/citrus|orange/, "🍊"], [/grape/, "🍇"], [/potato/, "🥔"],
  [/tomato/, "🍅"], [/salad|lettuce|vegetable|produce/, "🥬"], [/chicken|poultry/, "🍗"],
  [/beef|meat|pork|ham|sausage|bacon/, "🥩"], [/fish|seafood|shrimp/, "🐟"], [/egg/, "🥚"],
  [/beer|\bale\b/, "🍺"], [/wine|spirits/, "🍷"], [/coffee/, "☕"], [/tea\b/, "🍵"],
  [/ice cream|frozen/, "🍨"], [/pizza/, "🍕"],
  [/candy|chocolate|gum/, "🍫"], [/snack|chip|cracker|popcorn/, "🥨"], [/cereal|oat/, "🥣"],
  [/pasta|noodle/, "🍝"], [/rice/, "🍚"], [/soup|stew/, "🍲"], [/nut/, "🥜"], [/butter|oil/, "🧈"],
  [/sauce|ketchup|condiment|spice/, "🧂"], [/pet|dog|cat food/, "🐾"], [/baby|diaper/, "🍼"],
  [/paper|tissue|towel/, "🧻"], [/soap|deterg|clean|laundry/, "🧼"], [/flor|flower|plant/, "💐"],
  [/drug|vitamin|cold|pain|health/, "💊"], [/cosmetic|hair|shampoo/, "🧴"], [/gas|fuel/, "⛽"],
  [/book|magazine|paper/, "📰"], [/kitchen|cook|pan\b/, "🍳"], [/toy|seasonal|party/, "🎈"],
];
const SOURCES = {
  als: ["taste", "people with your taste (als)"],
  own: ["yours", "your own history (own)"],
  covisitation: ["together", "in the same baskets (covisitation)"],
  content: ["similar", "reads alike (content)"],
  trending: ["trending", "moving now (trending)"],
  popular: ["popular", "many people's choice (popular)"],
};
const VERBS = {
  view: "viewed", click: "clicked", add_to_cart: "put in cart", purchase: "bought",
  like: "liked", dislike: "turned down", rating: "rated", remove: "removed", search: "searched",
};

const $ = (id) => document.getElementById(id);
const state = { user: "", session: null, sample: [], mode: "mixed", shown: [], turn: 0 };

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(body.detail), { status: response.status });
  return body;
}

const pathOf = (user) => encodeURIComponent(user);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function shopAs(user) {
  state.user = user;
  state.session = user.startsWith("anon:") ? user.slice(5) : null;
  state.shown = [];
  state.turn += 1;
  $("user").value = user;
  location.hash = pathOf(user);
  $("trip").replaceChildren();
  return refresh();
}

async function refresh(highlight = false) {
  const turn = state.turn;
  const started = performance.now();
  const query = `limit=${LIST}&mode=${state.mode}`;
  const list = await ask(`/api/recommendations/${pathOf(state.user)}?${query}`);
  if (turn !== state.turn) return list;
  const took = performance.now() - started;
  const before = new Set(state.shown);
  list.fresh = list.items.filter((item) => !before.has(item.id)).length;
  list.changed = list.items.map((item) => item.id).join("\n") !== state.shown.join("\n");
  state.shown = list.items.map((item) => item.id);
  showCards($("list"), list.items, (item) => highlight && !before.has(item.id));
  showEmpty(list);
  showFooter(list, took);
  refreshAround(list.last_event_id !== null);
  return list;
}

async function refreshAround(known) {
  const turn = state.turn;
  const [trending, user] = await Promise.allSettled([
    trendingNow(), known ? ask(`/api/users/${pathOf(state.user)}`) : null,
  ]);
  if (turn !== state.turn) return;
  const items = trending.value ?? [];
  showCards($("trending"), items, () => false);
  $("trending-empty").hidden = items.length > 0;
  showActions(user.value?.recents ?? []);
}

async function trendingNow() {
  for (const window of ["1h", "24h", "7d", "28d"]) {
    const { items } = await ask(`/api/trending?window=${window}&limit=${LIST}`);
    if (items.length) return items;
  }
  return [];
}

function showCards(list, items, isNew) {
  const focused = list.contains(document.activeElement)
    ? [document.activeElement.closest(".card")?.dataset.id, document.activeElement.dataset.type]
    : null;
  list.replaceChildren(...items.map((item) => cardOf(item, isNew(item))));
  if (!focused) return;
  const again = [...list.children].find((card) => card.dataset.id === focused[0]);
  (again?.querySelector(`[data-type="${focused[1]}"]`) ?? $("for-you")).focus();
}

function cardOf(item, isNew) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  const say = (part, text) => { card.querySelector(part).textContent = text; };
  card.dataset.id = item.id;
  card.dataset.price = item.price ?? "";
  card.classList.toggle("new", isNew);
  say(".kind", sentence(item.category.at(-1) ?? ""));
  say(".name", sentence(item.title));
  say(".reason", (item.reason ?? "").replace(/[A-Z]{2}[^a-z]*$/, sentence));
  say(".price", item.price == null ? "" : `$${item.price.toFixed(2)}`);
  say(".picture", pictureOf(item));
  card.querySelector(".picture").style.background = gradientOf(item);
  card.querySelector(".sources").replaceChildren(
    ...badges(item.sources ?? []),
  );
  for (const button of card.querySelectorAll("button")) {
    button.title = button.classList.contains("open") ? `Open ${item.title}` : "";
    if (!button.classList.contains("open")) {
      button.setAttribute("aria-label", `${button.textContent}: ${item.title}`);
    }
  }
  return card;
}

function pictureOf(item) {
  const texts = [item.title, [...item.category].reverse().join(" ")];
  for (const text of texts) {
    const found = EMOJI.find(([words]) => words.test(text.toLowerCase()));
    if (found) return found[1];
  }
  return item.title.split(/\s+/).slice(0, 2).map((word) => word[0] ?? "").join("").toUpperCase();
}

function gradientOf(item) {
  let hash = 7;
  for (const letter of item.category.join("/") || item.id) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const hue = hash % 360;
  const turn = 105 + (item.id.length * 37 + item.id.charCodeAt(item.id.length - 1) * 17) % 60;
  return `linear-gradient(${turn}deg, hsl(${hue} 52% 66%), hsl(${(hue + 34) % 360} 56% 48%))`;
}

function sentence(text) {
  return text === text.toUpperCase() ? text.charAt(0) + text.slice(1).toLowerCase() : text;
}

function tag(name, text, kind = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = kind;
  return element;
}

function badges(sources) {
  const said = sources.map((source) => SOURCES[source] ?? [source, source]);
  const shown = said.slice(0, 2).map(([label, title]) => Object.assign(tag("span", label), { title }));
  const more = said.slice(2).map(([, title]) => title).join("; ");
  return more ? [...shown, Object.assign(tag("span", `+${said.length - 2}`), { title: more })] : shown;
}

function showEmpty(list) {
  const reason = list.degraded.includes("bundle")
    ? "No model has been trained yet: run `millrace nightly`."
    : "Nothing fits. Try another kind of list.";
  $("empty").textContent = reason;
  $("empty").hidden = list.items.length > 0;
  $("subtitle").textContent = state.session
    ? "A new visitor: the first click already counts."
    : `Made for user ${state.user}, as of this second.`;
}

function showFooter(list, took) {
  $("bundle").textContent = list.bundle ?? "none";
  $("age").textContent = list.feature_age_ms == null
    ? "nothing known yet" : `last action ${ago(list.feature_age_ms)} (${list.features_from})`;
  $("degraded").textContent = list.degraded.length ? `without ${list.degraded.join(", ")}` : "all well";
  $("degraded").classList.toggle("bad", list.degraded.length > 0);
  $("took").textContent = `${took.toFixed(0)} ms`;
}

function showActions(recents) {
  $("actions").replaceChildren(...recents.slice(0, 12).map((event) => {
    const line = document.createElement("li");
    const time = tag("time", ago(Date.now() - event.event_time));
    time.dateTime = new Date(event.event_time).toISOString();
    line.append(`${VERBS[event.type] ?? event.type} `, tag("b", sentence(event.title ?? event.item_id)), time);
    return line;
  }));
  $("actions-empty").hidden = recents.length > 0;
}

function ago(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 2) return "just now";
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name} ago`;
  }
  return `${Math.floor(seconds)} s ago`;
}

// One action: accepted by Kafka, then in the store, then in the list; each with its milliseconds.
async function act(type, card) {
  const started = performance.now();
  const turn = state.turn;
  const since = () => `${(performance.now() - started).toFixed(0)} ms`;
  const name = card.querySelector(".name").textContent;
  document.body.classList.add("busy");
  $("trip").replaceChildren(step(`${VERBS[type]} “${name}”`, ""));
  try {
    const [eventId] = (await send(type, card)).event_ids;
    $("trip").append(step("in Kafka after", since()));
    await reaches(eventId, turn);
    $("trip").append(step("in the store after", since()));
    const list = await refresh(true);
    $("trip").append(step(verdict(list), since(), "done"));
  } catch (problem) {
    if (turn === state.turn) $("trip").append(step(problem.message, "", "bad"));
  } finally {
    document.body.classList.remove("busy");
  }
}

function verdict(list) {
  if (list.fresh) return `your list changed (${list.fresh} new) after`;
  return list.changed ? "your list changed its order after" : "your list stays the same, known after";
}

function send(type, card) {
  const who = state.session ? { session_id: state.session } : { user_id: state.user };
  const price = card.dataset.price ? { price: Number(card.dataset.price) } : {};
  const body = { ...who, ...price, type, item_id: card.dataset.id, context: { page: "storefront" } };
  return ask("/api/interactions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

// Asks for the user, not the list: a list that nobody sees should not count as shown.
async function reaches(eventId, turn) {
  const ends = performance.now() + PATIENCE_MS;
  while (performance.now() < ends && turn === state.turn) {
    const user = await ask(`/api/users/${pathOf(state.user)}`).catch((problem) => {
      if (problem.status !== 404) throw problem;
      return { recents: [] };
    });
    if (user.recents.some((event) => event.event_id === eventId)) return;
    await sleep(POLL_MS);
  }
  throw new Error("the stream has not taken it in yet: is Flink running? (`millrace status`)");
}

function step(text, time, kind = "") {
  const item = tag("li", `${text} `, kind);
  item.append(tag("b", time));
  return item;
}

function listen() {
  $("who").addEventListener("submit", (event) => {
    event.preventDefault();
    shopAs($("user").value.trim());
  });
  $("visitor").addEventListener("click", () => shopAs(`anon:${crypto.randomUUID().slice(0, 13)}`));
  $("next-user").addEventListener("click", () => {
    const others = state.sample.filter((user) => user !== state.user);
    if (others.length) shopAs(others[Math.floor(Math.random() * others.length)]);
  });
  $("mode").addEventListener("change", (event) => {
    state.mode = event.target.value;
    refresh();
  });
  document.querySelector("main").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-type]");
    if (button) act(button.dataset.type, button.closest(".card"));
  });
}

async function start() {
  listen();
  state.sample = (await ask("/api/users?limit=20")).users;
  $("sample").replaceChildren(...state.sample.map((user) => new Option(user, user)));
  const named = decodeURIComponent(location.hash.slice(1));
  await shopAs(named || state.sample[Math.floor(state.sample.length / 2)] || "anon:visitor");
}

start().catch((problem) => {
  $("empty").textContent = `The store cannot be reached: ${problem.message}`;
  $("empty").hidden = false;
});
