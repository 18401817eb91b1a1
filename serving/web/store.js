// The storefront: shows a person's lists, sends what is done, and shows how soon the list follows.
import * as api from "./api.js";
import { itemOf, showCards } from "./cards.js";
import * as product from "./product.js";
import { follow } from "./trip.js";
import { ago, sentence, tag, VERBS } from "./words.js";

const LIST = 10;
const ROW = 12;
const WINDOWS = { "5m": "in the last five minutes", "1h": "in the last hour", "24h": "today" };
// What makes a good "because you …": interest, newest first.
const INTEREST = new Set(["view", "click", "add_to_cart", "purchase", "like"]);

/** Random, also where `randomUUID` is not: it wants https. */
const visitor = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const $ = (id) => document.getElementById(id);
const state = { user: "", session: null, sample: [], mode: "mixed", shown: [], turn: 0 };

function shopAs(user) {
  state.user = user;
  state.session = user.startsWith("anon:") ? user.slice(5) : null;
  state.shown = [];
  state.turn += 1;
  $("user").value = user;
  location.hash = encodeURIComponent(user);
  return refresh();
}

/** Asks for the list again; resolves with how it changed. */
async function refresh(highlight = false) {
  const { turn, mode } = state;
  const started = performance.now();
  const list = await api.recommendations(state.user, { limit: LIST, mode }).catch((problem) => problem);
  if (turn !== state.turn || mode !== state.mode) return {};
  if (list instanceof Error) return fail(list);
  const took = performance.now() - started;
  const before = new Set(state.shown);
  const now = list.items.map((item) => item.id);
  const change = {
    fresh: now.filter((id) => !before.has(id)).length,
    changed: now.join("\n") !== state.shown.join("\n"),
  };
  state.shown = now;
  showCards($("list"), list.items, (item) => highlight && !before.has(item.id));
  showEmpty(list);
  showFooter(list, took);
  void refreshAround(list.last_event_id !== null);
  return change;
}

async function refreshAround(known) {
  const { turn } = state;
  const [user] = await Promise.all([known ? api.user(state.user) : null, showTrending()]);
  if (turn !== state.turn) return;
  const recents = user?.recents ?? [];
  showActions(recents);
  await showBecause(recents.find((recent) => INTEREST.has(recent.type)), turn);
}

async function showTrending() {
  for (const [window, words] of Object.entries(WINDOWS)) {
    const { items } = await api.trending(window, ROW);
    if (items.length >= 4 || window === "24h") {
      showCards($("trending"), items);
      $("trending-when").textContent = items.length ? words : "";
      $("trending-empty").hidden = items.length > 0;
      return;
    }
  }
}

async function showBecause(recent, turn) {
  const { items } = recent ? await api.similar(recent.item_id, ROW).catch(() => ({ items: [] })) : { items: [] };
  if (turn !== state.turn) return;
  $("because-section").hidden = items.length === 0;
  if (!items.length) return;
  $("because-title").textContent = `Because you ${VERBS[recent.type]} ${sentence(recent.title ?? recent.item_id)}`;
  showCards($("because"), items);
}

function showEmpty(list) {
  $("empty").textContent = list.degraded.includes("bundle")
    ? "No model has been trained yet: run `millrace nightly`."
    : "Nothing fits. Try another kind of list.";
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

async function act(type, item) {
  const { user, session, turn } = state;
  const who = session ? { session_id: session } : { user_id: user };
  const paid = item.price == null ? {} : { price: item.price };
  const event = { ...who, ...paid, type, item_id: item.id, context: { page: "storefront" } };
  document.body.classList.add("busy");
  await follow(event, item, { user, current: () => turn === state.turn, list: () => refresh(true) });
  document.body.classList.remove("busy");
}

async function find(words) {
  $("found-section").hidden = !words;
  if (!words) return;
  const { items, message } = await api.search(words, ROW).catch((problem) => ({ items: [], message: problem.message }));
  $("found-title").textContent = message ?? `Found for “${words}”`;
  showCards($("found"), items);
  $("found-empty").hidden = items.length > 0;
  $("found-title").focus();
}

function clicked(event) {
  const holder = event.target.closest(".card, dialog");
  const item = holder && itemOf.get(holder);
  if (!item) return;
  const button = event.target.closest("button[data-type]");
  if (button) {
    product.close();
    void act(button.dataset.type, item);
  } else if (event.target.closest(".open")) {
    void product.open(item);
    void act("click", item);
  }
}

function listen() {
  document.addEventListener("click", clicked);
  $("who").addEventListener("submit", (event) => {
    event.preventDefault();
    void shopAs($("user").value.trim());
  });
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    void find($("words").value.trim());
  });
  $("words").addEventListener("search", () => { if (!$("words").value) void find(""); });
  $("visitor").addEventListener("click", () => shopAs(`anon:${visitor()}`));
  $("next-user").addEventListener("click", () => {
    const others = state.sample.filter((user) => user !== state.user);
    if (others.length) void shopAs(others[Math.floor(Math.random() * others.length)]);
  });
  $("mode").addEventListener("change", (event) => {
    state.mode = event.target.value;
    void refresh();
  });
}

async function start() {
  listen();
  state.sample = await api.sample(20);
  $("sample").replaceChildren(...state.sample.map((user) => new Option(user, user)));
  const named = decodeURIComponent(location.hash.slice(1));
  await shopAs(named || state.sample[Math.floor(state.sample.length / 2)] || "anon:visitor");
}

/** Says what is wrong, and shows nothing that was for somebody else; nothing has changed then. */
function fail(problem) {
  state.shown = [];
  $("list").replaceChildren();
  showActions([]);
  $("because-section").hidden = true;
  $("subtitle").textContent = "";
  $("empty").textContent = `There is no list: ${problem.message}`;
  $("empty").hidden = false;
  return {};
}

start().catch(fail);
