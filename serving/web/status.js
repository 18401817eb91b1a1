// The status page: what works, how fresh it is, what waits for somebody.
import * as api from "./api.js";
import { ago, tag } from "./words.js";

const PERIOD_MS = 2000;
const $ = (id) => document.getElementById(id);

function tile(name, value, detail, good = true) {
  const item = document.createElement("li");
  item.className = good ? "" : "bad";
  item.append(tag("b", name), tag("strong", value), tag("span", detail));
  return item;
}

function show(status) {
  const wrong = status.parts.filter((part) => part.state !== "up").map((part) => part.name);
  $("verdict").textContent = wrong.length ? `Degraded: ${wrong.join(", ")}.` : "All well.";
  $("parts").replaceChildren(...status.parts.map(
    (part) => tile(part.name, part.state, part.detail ?? "", part.state === "up"),
  ));
  $("answers").replaceChildren(
    tile("champion", status.bundle ?? "none", madeAt(status.bundle_made_at), status.bundle !== null),
    tile("trending published", since(status.trending_published_at), "", status.trending_published_at !== null),
    tile("answers", String(status.answers), `${status.answers_degraded} of them lacked a part`),
    tile("feature age", age(status.feature_age_ms), "newest interaction that the last list knew of"),
  );
  $("letters").replaceChildren(...status.dead_letters.map(
    ({ topic, messages }) => tile(topic, messages === null ? "?" : String(messages), "", messages === 0),
  ));
  showLinks(status.links);
  $("asked").textContent = `Asked ${new Date().toLocaleTimeString()}, again every ${PERIOD_MS / 1000} s.`;
}

const madeAt = (at) => (at === null ? "run `millrace nightly`" : `made ${since(at)}`);
const age = (ms) => (ms === null ? "–" : `${(ms / 1000).toFixed(1)} s`);
const since = (at) => (at === null ? "never" : ago(Date.now() - at));

function showLinks(links) {
  const own = [...$("links").querySelectorAll(":not([data-given])")];
  const given = Object.entries(links).map(([name, href]) => {
    const link = Object.assign(tag("a", name), { href });
    link.dataset.given = "";
    return link;
  });
  $("links").replaceChildren(...own, ...given);
}

// Whoever is refused stays so until there is another key, and that loads the page anew.
const refused = ({ status }) => status === 401 || status === 403;

async function turn() {
  try {
    show(await api.status());
  } catch (problem) {
    const said = problem.status ? "refuses" : "does not answer";
    $("verdict").textContent = `The API ${said}: ${problem.message}`;
    if (refused(problem)) {
      $("asked").textContent = "Not asked again without another key.";
      return;
    }
  }
  setTimeout(turn, PERIOD_MS);
}

void turn();
