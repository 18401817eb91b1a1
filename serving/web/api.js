// What the page asks of the API. Errors carry the problem's own words.
import * as key from "./key.js";

/** Where a key is wanted, a person is asked for it, and then the API again. */
async function ask(path, options = {}) {
  for (;;) {
    const sent = key.current();
    const bearer = sent === null ? {} : { Authorization: `Bearer ${sent}` };
    const response = await fetch(path, { ...options, headers: { ...options.headers, ...bearer } });
    const body = await response.json();
    if (response.ok) return body;
    const { status } = response;
    // Another request may have been given a new key while this one was away.
    if (status === 401 && (key.current() !== sent || await key.want(body.detail))) continue;
    throw Object.assign(new Error(body.detail ?? response.statusText), { status });
  }
}

const part = encodeURIComponent;
const query = (said) => new URLSearchParams(
  Object.entries(said).filter(([, value]) => value !== null && value !== ""),
);

export const recommendations = (user, said) => ask(`/api/recommendations/${part(user)}?${query(said)}`);
export const similar = (item, limit) => ask(`/api/items/${part(item)}/similar?${query({ limit })}`);
export const search = (q, limit) => ask(`/api/items?${query({ q, limit })}`);
export const trending = (window, limit) => ask(`/api/trending?${query({ window, limit })}`);
export const status = () => ask("/api/status");

/** A user; null when nothing is known. */
export const user = (id) => unless(404, null, ask(`/api/users/${part(id)}`));

/** Some users; none for a key that sees only its own. */
export const sample = async (limit) => (
  await unless(403, { users: [] }, ask(`/api/users?${query({ limit })}`))
).users;

async function unless(status, instead, asked) {
  try {
    return await asked;
  } catch (problem) {
    if (problem.status === status) return instead;
    throw problem;
  }
}

// What a person thinks of an item takes effect on the next answer; what they do comes with the stream.
const FEEDBACK = new Set(["like", "dislike"]);

/** Resolves with the event's id once Kafka has it. */
export async function interaction(said) {
  const { user_id, session_id, item_id, type } = said;
  const answer = FEEDBACK.has(type)
    ? await post("/api/feedback", { user_id, session_id, item_id, kind: type })
    : await post("/api/interactions", said);
  return answer.event_ids[0];
}

function post(path, said) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(said) });
}
