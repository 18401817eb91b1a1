// The way of one click: sent, in Kafka, in the store, in the list, each with its milliseconds.
import * as api from "./api.js";
import { sentence, VERBS } from "./words.js";

const POLL_MS = 40;
const PATIENCE_MS = 15000;

const root = document.getElementById("trip");
const end = document.getElementById("trip-end");

/**
 * Sends one action and follows it. `list` is called when the store knows, and shows the new list.
 * `current` says whether the page still shows the same person.
 */
export async function follow(event, item, { user, current, list }) {
  const started = performance.now();
  const reached = (step) => mark(step, performance.now() - started);
  begin(event.type, item);
  try {
    const id = await api.interaction(event);
    reached("kafka");
    await inStore(id, user, current);
    reached("store");
    const change = await list();
    reached("list");
    say(verdict(change), "done");
  } catch (problem) {
    if (current()) say(problem.message, "bad");
  }
}

function begin(type, item) {
  root.className = "trip going";
  document.getElementById("trip-what").textContent = `You ${VERBS[type]} ${sentence(item.title)}`;
  for (const step of root.querySelectorAll("[data-step]")) {
    step.classList.remove("reached");
    step.querySelector("span").textContent = "";
  }
  end.textContent = "";
  mark("sent", 0);
}

function mark(name, ms) {
  const step = root.querySelector(`[data-step="${name}"]`);
  step.classList.add("reached");
  step.querySelector("span").textContent = `${ms.toFixed(0)} ms`;
}

function say(text, kind) {
  root.className = `trip ${kind}`;
  end.textContent = text;
}

// Asks for the user, not the list: a list that nobody sees should not count as shown.
async function inStore(id, user, current) {
  const ends = performance.now() + PATIENCE_MS;
  while (performance.now() < ends && current()) {
    const known = await api.user(user);
    if (known?.recents.some((recent) => recent.event_id === id)) return;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  throw new Error("The stream has not taken it in yet: is Flink running? (`millrace status`)");
}

function verdict({ fresh, changed }) {
  if (fresh) return `Your list changed: ${fresh} new.`;
  return changed ? "Your list changed its order." : "Your list knows, and stays as it was.";
}
