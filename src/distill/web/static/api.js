// What the page asks its own server, and errors in the server's own words.

export class Wrong extends Error {
  constructor(what, fix, status) {
    super(`${what} ${fix}`);
    Object.assign(this, { what, fix, status });
  }
}

/** What `read` takes of the answer. One that breaks off on its way, as of a server that is ended, is none. */
export async function fetched(url, read, words = {}) {
  const silent = (error) => {
    if (words.signal?.aborted) throw error;
    throw new Wrong("Distill does not answer.", "Start it again in a terminal: distill ui. What was being trained goes on.", 0);
  };
  const answer = await fetch(url, words).catch(silent);
  if (answer.ok) return read(answer).catch(silent);
  if (answer.status === 401) location.reload();
  const told = await answer.json().catch(() => ({}));
  throw new Wrong(told.what ?? `The answer was ${answer.status}.`, told.fix ?? "Try again.", answer.status);
}

/** `body` as JSON, for a request. */
export const asJson = (method, body) => ({ method, body: JSON.stringify(body), headers: { "content-type": "application/json" } });

const ask = (url, words) => fetched(url, (answer) => answer.json(), { ...words, cache: "no-store" });
const json = (method) => (url, body = {}) => ask(url, asJson(method, body));

export const get = (url) => ask(url, { method: "GET" });
export const post = json("POST");
export const put = json("PUT");
export const del = (url) => ask(url, { method: "DELETE" });
/** What is said of a file that was chosen or dropped, and cannot be read. */
export const unreadable = (name) => new Wrong(`${name} cannot be read (any more).`, "If it was saved again, moved or unplugged since, choose it again; a folder cannot be sent as a file.");
/** Sends a file as it is. A browser rejects one that it cannot read as it does where no server answers, so it is read once more. */
export const send = (url, file) => ask(url, { method: "PUT", body: file, headers: { "content-type": "application/octet-stream" } }).catch(async (error) => {
  if (error.status !== 0) throw error;
  const again = file.stream().getReader();  // not of a slice: of a file that is gone that is empty, and can be read
  await again.read().catch(() => { throw unreadable(file.name); });
  await again.cancel();
  throw error;
});
/** `url?name=value&…` without those that are undefined or null. */
export const query = (url, values) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return `${url}?${new URLSearchParams(given)}`;
};
/** Base64, as the server sends what is no text, to bytes. */
export const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
