// The output of a process by line, without holding it: what a view looks at is fetched in windows around it and forgotten again.
//
// Unfiltered, a row is a sequence number, so a million lines cost nothing until they are looked at (Whole). Filtered, the
// server greps and rows are the matches found so far, extended to both sides (Found). Both hear of new lines by asking with
// `wait`, a page at a time: however fast a process writes, the page's work depends on what is shown alone.
import { get } from './api.js';
import { visible } from './visible.js';

const WINDOW = 250;                   // lines of one fetch, and a gap may stand before them
const PAGE = 500;                     // as many as one answer holds
const WINDOWS_KEPT = 60;
const FOUND_KEPT = 20000;
const PAUSE = 120;                    // ms between two questions for news

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** What both have: the question for news, and who is told. on: { changed(), failed(error), ended() }. */
class Source {
  constructor(id, filter, on) {
    Object.assign(this, { path: `/v1/processes/${id}/logs`, filter, on, ended: false, gone: new AbortController() });
  }

  ask(query) { return get(this.path, { ...this.filter, ...query }, this.gone.signal); }

  close() { this.gone.abort(); }

  /** An answer may still come when nobody looks any more. */
  changed() { if (!this.gone.signal.aborted) this.on.changed(); }

  /** Runs `body` again and again with a growing pause, until it succeeds; refusals are final. */
  async patiently(body) {
    for (let wait = 250; !this.gone.signal.aborted; wait = Math.min(wait * 2, 8000)) {
      try {
        const result = await body();
        this.on.failed(null);
        return result;
      } catch (error) {
        if (this.gone.signal.aborted) return null;
        this.on.failed(error);
        if (error.status >= 400 && error.status < 500 && error.status !== 429) { this.close(); return null; }
        await pause(wait);
      }
    }
    return null;
  }

  async run() {
    await this.patiently(() => this.begin());
    this.changed();
    while (!this.ended && !this.gone.signal.aborted) {
      await visible(this.gone.signal);
      const page = await this.patiently(() => this.ask({ after: this.after, limit: PAGE, wait: 25 }));
      if (!page) return;
      this.take(page);
      this.ended = page.ended && page.items.length === 0;
      if (this.ended) this.on.ended();
      this.changed();
      await pause(PAUSE);
    }
  }
}

const key = (seq) => Math.floor((seq - 1) / WINDOW);

/** Every line: row i is the line with number first + i. */
export class Whole extends Source {
  constructor(id, on) {
    super(id, {}, on);
    Object.assign(this, { first: 1, last: 0, after: 0, windows: new Map(), under_way: new Set() });
  }

  get length() { return Math.max(0, this.last - this.first + 1); }

  seqAt(row) { return this.first + row; }

  rowOf(seq) { return seq - this.first; }

  async begin() {
    const page = await this.ask({ tail: WINDOW, limit: WINDOW });
    this.bounds(page);
    page.items.forEach((record) => this.put(record));
    this.after = page.next_after;
    this.ended = page.ended && page.last_seq === null;
    if (this.ended) this.on.ended();
  }

  bounds({ first_seq, last_seq }) {
    if (first_seq === null) return;
    this.first = Math.max(1, first_seq);
    this.last = Math.max(this.last, last_seq);
  }

  /** A line, or a gap, which stands before the line that has the same place. */
  put(record) {
    const window = this.window(key(Math.max(1, record.seq)));
    const known = window.lines.get(record.seq);
    if (record.gap) window.lines.set(record.seq, { ...known, seq: record.seq, at: known?.at ?? record.at, gap: record.gap });
    else window.lines.set(record.seq, known?.gap ? { ...record, gap: known.gap } : record);
  }

  window(number) {
    let window = this.windows.get(number);
    if (window) this.windows.delete(number);
    else window = { lines: new Map(), whole: 0 };
    this.windows.set(number, window);
    while (this.windows.size > WINDOWS_KEPT) this.windows.delete(this.windows.keys().next().value);
    return window;
  }

  /** News. When there is more than a page of them, the rest is left for who looks at it. */
  take(page) {
    this.bounds(page);
    page.items.forEach((record) => this.put(record));
    this.after = page.items.length >= PAGE ? Math.max(page.next_after, this.last) : page.next_after;
  }

  /** The line of a row: undefined while it is fetched, null when there is none. */
  line(row) {
    const seq = this.seqAt(row);
    const window = this.windows.get(key(seq));
    const found = window?.lines.get(seq);
    if (found) return found;
    if (window && seq <= window.whole) return null;
    this.fetch(key(seq));
    return undefined;
  }

  async fetch(number) {
    if (this.under_way.has(number)) return;
    this.under_way.add(number);
    const from = number * WINDOW;
    const page = await this.patiently(() => this.ask({ after: from, before: from + WINDOW + 1, limit: WINDOW + 1 }));
    this.under_way.delete(number);
    if (!page) return;
    page.items.forEach((record) => this.put(record));
    this.window(number).whole = Math.min(from + WINDOW, page.last_seq ?? 0);
    this.changed();
  }
}

/** The lines that a filter lets through: the newest first, older ones when somebody scrolls up to them. */
export class Found extends Source {
  constructor(id, filter, on) {
    super(id, filter, on);
    Object.assign(this, { lines: [], after: 0, start: false, under_way: false });
  }

  get length() { return this.lines.length; }

  seqAt(row) { return this.lines[row]?.seq; }

  rowOf(seq) { return this.lines.findIndex((one) => one.seq >= seq); }

  line(row) { return this.lines[row]; }

  async begin() {
    const page = await this.ask({ tail: PAGE, limit: PAGE });
    this.lines = page.items;
    this.start = page.items.length < PAGE;
    this.after = page.next_after;
  }

  take(page) {
    this.lines.push(...page.items);
    this.after = page.next_after;
    if (this.lines.length > FOUND_KEPT) {
      this.lines.splice(0, this.lines.length - FOUND_KEPT);
      this.start = false;
    }
  }

  /** Gives how many came in front. */
  async older() {
    if (this.start || this.under_way || this.lines.length >= FOUND_KEPT) return 0;
    this.under_way = true;
    const page = await this.patiently(() => this.ask({ before: this.lines[0].seq, tail: PAGE, limit: PAGE }));
    this.under_way = false;
    if (!page) return 0;
    this.lines.unshift(...page.items);
    this.start = page.items.length < PAGE;
    return page.items.length;
  }
}

/** The next line behind `seq`, or the last one before it, in which `grep` is found; null when there is none. */
export async function search(id, grep, seq, forward) {
  const query = forward ? { after: seq, limit: 1 } : { before: seq, tail: 1 };
  const { items } = await get(`/v1/processes/${id}/logs`, { grep, ...query });
  return items[0]?.seq ?? null;
}

/** The server greps with POSIX expressions; where that means the same to JavaScript, what was found can be marked. */
export function pattern(grep) {
  if (!grep || grep.includes('[:')) return null;
  try { return new RegExp(grep, 'g'); } catch { return null; }
}

export const downloadName = (p, ending) => `${p.name.replace(/[^\w.-]+/g, '_')}-${p.id}${ending}`;
