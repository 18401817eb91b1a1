// What the page asks of the API. Errors carry the problem's own words.

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) {
    throw Object.assign(new Error(body.detail ?? response.statusText), { status: response.status });
  }
  return body;
}

const part = encodeURIComponent;
const query = (said) => new URLSearchParams(
  Object.entries(said).filter(([, value]) => value !== null && value !== ""),
);

export const recommendations = (user, said) => ask(`/api/recommendations/${part(user)}?${query(said)}`);
export const similar = (item, limit) => ask(`/api/items/${part(item)}/similar?${query({ limit })}`);
export const search = (q, limit) => ask(`/api/items?${query({ q, limit })}`);
export const trending = (window, limit) => ask(`/api/trending?${query({ window, limit })}`);
export const sample = (limit) => ask(`/api/users?${query({ limit })}`);
export const status = () => ask("/api/status");

/** A user; null when nothing is known. */
export async function user(id) {
  try {
    return await ask(`/api/users/${part(id)}`);
  } catch (problem) {
    if (problem.status === 404) return null;
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
