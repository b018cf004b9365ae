// A sound that is open as codes. The server keeps it and all that was done to it; here is a copy of its rows, and every edit
// comes back as a change of rows, so that the copy is what the server has.
import { bytes, del, get, post, query } from "./api.js";
import { attempt, shared } from "./store.js";

/** Base64 of 16-bit numbers, as the server sends codes, to numbers. */
export const decode = (text) => new Int16Array(bytes(text).buffer);
/** Numbers to base64 of 16-bit numbers. */
export function encode(numbers) {
  const raw = new Uint8Array(Int16Array.from(numbers).buffer);
  let text = "";
  for (let start = 0; start < raw.length; start += 8192) text += String.fromCharCode(...raw.subarray(start, start + 8192));
  return btoa(text);
}

const sheets = new Map();
/** What was asked for last: each change names the version that it changes, which the one before it leads to. */
let last = Promise.resolve();

class Sheet {
  constructor(told) {
    this.id = told.id;
    this.told = told;
    this.levels = told.levels;
    this.rate = told.sample_rate / told.hop;
    this.width = 2 * told.levels;
    this.original = decode(told.original);
    /** Changes with everything that is shown of the sheet; whoever shows it watches it. */
    this.version = shared(0);
    /** What was done last, in words. */
    this.said = shared("");
    this.take(told);
  }

  take({ rows, past, future, version }) {
    Object.assign(this, { rows: decode(rows), past, future, step: version });
    this.version.set(this.version.get() + 1);
  }

  get columns() { return this.rows.length / this.width; }
  get originalColumns() { return this.original.length / this.levels; }
  /** How long it sounds: the last column may reach beyond its end. */
  get seconds() { return this.told.seconds + (this.columns - this.originalColumns) / this.rate; }
  code(column, level) { return this.rows[column * this.width + level]; }
  isLocked(column, level) { return this.rows[column * this.width + this.levels + level] === 1; }
  url(what = "") { return `/api/codes/sheets/${this.id}${what && `/${what}`}`; }

  /** The cells of a selection, row by row: what is copied. */
  cells({ first, stop, levels }) {
    const found = [];
    for (let column = first; column < stop; column += 1) for (const level of levels) found.push(this.code(column, level));
    return { codes: encode(found), levels: [...levels], columns: stop - first };
  }

  async apply(change) {
    if (change.version !== this.step + 1) {  // another tab changed it meanwhile
      await this.renew();
      return;
    }
    const rows = decode(change.rows), { first, removed } = change;
    const next = new Int16Array(this.rows.length - removed * this.width + rows.length);
    next.set(this.rows.subarray(0, first * this.width));
    next.set(rows, first * this.width);
    next.set(this.rows.subarray((first + removed) * this.width), first * this.width + rows.length);
    Object.assign(this, { rows: next, past: change.past, future: change.future, step: change.version });
    this.version.set(this.version.get() + 1);
  }

  /** Asks for a change and makes it here too, also in the other sheet of a swap. Gives what was changed in words. */
  ask(what, body) {
    const asked = last.then(() => this.change(what, body));
    last = asked.catch(() => {});  // whoever asked says so
    return asked;
  }

  async change(what, body) {
    const other = sheets.get(body.other);
    try {
      const { changes } = await post(query(this.url(what), { version: this.step }), { ...body, other_version: other?.step });
      for (const change of changes) await (change.sheet === this.id ? this : sheets.get(change.sheet))?.apply(change);
      return changes[0];
    } catch (error) {
      for (const one of [this, other]) await one?.renew();
      throw error;
    }
  }

  /** Takes it anew where another tab has changed it. */
  async renew() {
    const told = await get(this.url());
    if (told.version !== this.step) this.take(told);
  }

  edit(body) { return attempt(async () => { const told = await this.ask("edits", body); this.said.set(`${this.past.at(-1)}.`); return told; }); }
  undo() { return attempt(async () => { const told = await this.ask("undo", {}); this.said.set(`Undone: ${this.future.at(-1)}.`); return told; }); }
  redo() { return attempt(async () => { const told = await this.ask("redo", {}); this.said.set(`Done again: ${this.past.at(-1)}.`); return told; }); }

  async rename(name) {
    this.told = { ...this.told, name: (await post(this.url("name"), { name })).name };
    this.version.set(this.version.get() + 1);
  }
}

/** The sheet as the server has it now. */
export async function load(id) {
  const told = await get(`/api/codes/sheets/${id}`);
  return keep(told);
}
export function keep(told) {
  const sheet = new Sheet(told);
  sheets.set(sheet.id, sheet);
  return sheet;
}
export const close = (id) => del(`/api/codes/sheets/${id}`);
export const reopen = (id) => post(`/api/codes/sheets/${id}/reopen`);

const books = new Map();
/** The codebooks of a model: `{ counts, colours, … }`. */
export async function book(model) {
  if (!books.has(model)) books.set(model, get(`/api/codes/models/${model}/book`).catch((error) => { books.delete(model); throw error; }));
  return books.get(model);
}
