// What the page asks its own server, and errors in the server's own words.

export class Wrong extends Error {
  constructor(what, fix, status) {
    super(`${what} ${fix}`);
    Object.assign(this, { what, fix, status });
  }
}

async function ask(method, url, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(url, { method, body, headers, cache: "no-store" });
  } catch {
    throw new Wrong("Distill does not answer.", "Start it again in a terminal: distill ui. What was being trained goes on.", 0);
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  if (answer.status === 401) location.reload();
  throw new Wrong(told.what ?? `The answer was ${answer.status}.`, told.fix ?? "Try again.", answer.status);
}

const json = (method) => (url, body = {}) => ask(method, url, JSON.stringify(body), { "content-type": "application/json" });

export const get = (url) => ask("GET", url);
export const post = json("POST");
export const put = json("PUT");
export const del = (url) => ask("DELETE", url);
/** Sends a file as it is. */
export const send = (url, file) => ask("PUT", url, file, { "content-type": "application/octet-stream" });
/** `url?name=value&…` without those that are undefined or null. */
export const query = (url, values) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return `${url}?${new URLSearchParams(given)}`;
};
