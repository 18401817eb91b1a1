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

/** Resolves with the event's id once Kafka has it. */
export async function interaction(said) {
  const answer = await ask("/api/interactions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(said),
  });
  return answer.event_ids[0];
}
