// The log's moving part, apart from the components: the list of lines, where they come from, and whether one follows them.
//
// It changes with each frame and each answer; what the components show of it is the signal `status`.
import { Found, pattern, search, Whole } from '../lib/log_source.js';
import { href } from '../lib/router.js';
import { signal } from '../lib/signal.js';
import { Lines } from '../ui/lines.js';
import { logLine } from '../ui/log_line.js';

const AT_FIRST = { following: true, length: 0, seen: 0, error: null, ended: false };

export class LogPane {
  constructor(id) {
    Object.assign(this, { id, status: signal(AT_FIRST), lines: null, source: null, query: {}, hit: null, found: null });
  }

  /** following: the end stays in sight. length, and how much of it was `seen` when one stopped following. error: of the last call. */
  set(changes) { this.status.value = { ...this.status.value, ...changes }; }

  attach(box) {
    this.lines = new Lines(box, (...line) => this.draw(...line), { moved: (atEnd) => this.moved(atEnd), top: () => this.older() });
    return () => {
      this.source?.close();
      this.lines.close();
    };
  }

  /** An address of a line leads out of a filter, to what stands around it. */
  draw(line, seq, picked) {
    const address = href(['processes', this.id], { ...this.query, line: seq, only: '', stream: '' });
    return logLine(line, seq, { address, picked, hit: this.hit });
  }

  /** Shows these lines. query: of the address; `only` what `grep` finds, one `stream`, from `line` on. */
  look(query) {
    const { grep, only, stream, line } = query;
    const filter = { ...(only && grep && { grep }), ...(stream && { stream }) };
    const on = { changed: () => this.changed(line), failed: (error) => this.failed(error), ended: () => this.set({ ended: true }) };
    this.source?.close();
    this.source = Object.keys(filter).length > 0 ? new Found(this.id, filter, on) : new Whole(this.id, on);
    this.arrived = !line;
    this.lines.picked = null;
    this.set({ ...AT_FIRST, following: !line });
    this.lines.reset(this.source);
    this.source.run();
  }

  /** The same lines, shown in another way. */
  redraw(query) {
    this.query = query;
    this.hit = pattern(query.grep);
    this.found = null;
    if (this.source) this.lines.reset(this.source);
  }

  changed(line) {
    const { source, lines } = this;
    if (!this.arrived && source.length > 0) {
      this.arrived = true;
      lines.show(Math.max(0, Math.min(source.length - 1, source.rowOf(Number(line)))));
    }
    this.set({ length: source.length });
    if (this.status.value.following) lines.toEnd();
    lines.changed();
  }

  failed(error) {
    if (error !== this.status.value.error) this.set({ error });
  }

  moved(atEnd) {
    if (atEnd !== this.status.value.following) this.set({ following: atEnd, seen: this.source.length });
  }

  follow(on) {
    this.set({ following: on, seen: this.source.length });
    if (on) this.lines.toEnd();
  }

  async older() {
    const { source, lines } = this;
    const rows = await source.older?.();
    if (!rows || source !== this.source) return;
    lines.keepPlace(rows);
    this.set({ length: source.length, seen: this.status.value.seen + rows });
  }

  /** Goes to the next place where `grep` is found, around the end if need be, through lines that were never fetched. */
  async find(grep, forward) {
    const { source } = this;
    const [first, last] = [0, Number.MAX_SAFE_INTEGER];
    const from = this.found ?? (forward ? first : last);
    const seq = await search(this.id, grep, from, forward) ?? await search(this.id, grep, forward ? first : last, forward);
    if (seq === null || source !== this.source) return false;
    this.found = seq;
    this.follow(false);
    this.lines.show(source.rowOf(seq));
    return true;
  }
}
