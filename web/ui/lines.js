// A list of lines as long as one likes: only those in sight are nodes. Made by hand, because it changes with each scroll event.
//
// Where one is in a scroll bar, p from 0 to 1, is where one is in the lines: line p · length stands at p · height of the box.
// For lines of equal height that is exactly how a long page scrolls; and it stays right, from the first line to the last,
// where lines wrap, or where there are more of them than a browser can make a page high. A few lines are simply all there.
const LINE = 18;                      // px; as .line in style.css
const HIGHEST = 15_000_000;           // px; browsers clip at about 33 million
const SPARE = 6;

export class Lines {
  /** box: the scrolling element. make(line, row): a node. on: { moved(atEnd, byHand), top() }. */
  constructor(box, make, on) {
    Object.assign(this, { box, make, on, source: null, nodes: new Map(), asked: false, expected: 0, picked: null });
    Object.assign(this, { sticks: true, wanted: null }); // to the end; a row to be shown as soon as it is drawn
    this.space = document.createElement('div');
    this.pane = document.createElement('div');
    this.space.className = 'lines-space';
    this.pane.className = 'lines-pane';
    this.space.append(this.pane);
    box.append(this.space);
    box.addEventListener('scroll', () => this.scrolled(), { passive: true });
    this.resized = new ResizeObserver(() => this.changed());
    this.resized.observe(box);
  }

  close() {
    this.resized.disconnect();
    this.source = null;
    this.space.remove();
  }

  /** Another source, or the same lines shown in another way: nothing drawn before is right any more. */
  reset(source) {
    this.source = source;
    this.nodes.clear();
    this.pane.replaceChildren();
    this.changed();
  }

  /** Draws at the next frame, however often it is called until then. */
  changed() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; if (this.source) this.draw(); });
  }

  get room() { return Math.max(0, this.box.scrollHeight - this.box.clientHeight); }

  get atEnd() { return this.box.scrollTop >= this.room - 2; }

  scrolled() {
    const byHand = Math.abs(this.box.scrollTop - this.expected) > 1;
    this.expected = this.box.scrollTop;
    if (byHand) {
      this.sticks = this.atEnd;
      this.on.moved(this.atEnd);
    }
    if (this.box.scrollTop < 40 * LINE) this.on.top();
    this.changed();
  }

  scrollTo(top) {
    this.box.scrollTop = top;
    this.expected = this.box.scrollTop;
    this.changed();
  }

  height() { return Math.min(HIGHEST, Math.max(this.source.length * LINE, 1)); }

  toEnd() {
    this.sticks = true;
    this.resize();
    this.scrollTo(this.room);
  }

  /** So few that all of them are nodes. */
  get few() { return this.source.length <= this.box.clientHeight / LINE + 2 * SPARE; }

  resize() {
    if (!this.few) this.space.style.height = `${Math.max(this.height(), this.box.clientHeight)}px`;
  }

  /** Brings a row to a third of the box's height, and marks it. */
  show(row) {
    this.picked = this.source.seqAt(row);
    this.sticks = false;
    this.wanted = row;
    this.resize();
    const third = this.box.clientHeight / 3;
    const total = this.source.length;
    const scale = this.height() / (total * LINE);
    this.scrollTo(Math.max(0, (row * LINE - third) * scale));
    this.nodes.clear();
  }

  /** Rows came in front: what was in sight stays there. */
  keepPlace(rows) {
    this.resize();
    this.scrollTo(this.box.scrollTop + rows * LINE);
  }

  draw() {
    const { box, source } = this;
    const total = source.length;
    if (this.few) { this.drawAll(); return; }
    this.wanted = null;
    this.resize();
    const height = box.clientHeight;
    const p = this.room > 0 ? Math.min(1, box.scrollTop / this.room) : 0;
    const anchor = p * total;
    const from = Math.max(0, Math.floor(anchor - (p * height) / LINE) - SPARE);
    const to = Math.min(total, Math.ceil(anchor + ((1 - p) * height) / LINE) + SPARE);
    this.pane.style.transform = `translateY(${box.scrollTop}px)`;
    this.fill(from, to);
    this.align(Math.min(Math.floor(anchor), to - 1) - from, anchor, p * height);
  }

  /** As high as they are, and scrolled as any page. */
  drawAll() {
    this.fill(0, this.source.length);
    this.pane.style.transform = '';
    this.space.style.height = `${Math.max(this.pane.offsetHeight, this.box.clientHeight)}px`;
    const wanted = this.pane.childNodes[this.wanted];
    if (wanted) this.box.scrollTop = wanted.offsetTop - this.box.clientHeight / 3;
    else if (this.sticks) this.box.scrollTop = this.room;
    this.wanted = null;
    this.expected = this.box.scrollTop;
  }

  /** Nodes are kept as long as their line is the same and in sight, so that a selection of text survives. */
  fill(from, to) {
    const next = new Map();
    const shown = [];
    for (let row = from; row < to; row++) {
      const seq = this.source.seqAt(row);
      const line = this.source.line(row);
      const known = this.nodes.get(seq);
      const entry = known && known.line === line ? known : { line, node: this.make(line, seq, seq === this.picked) };
      next.set(seq, entry);
      shown.push(entry.node);
    }
    this.nodes = next;
    const drawn = this.pane.childNodes;
    if (shown.length !== drawn.length || shown.some((node, i) => node !== drawn[i])) this.pane.replaceChildren(...shown);
  }

  /** Moves the pane so that the anchor stands where it belongs: its fraction of its own row, at `at` px of the box. */
  align(index, anchor, at) {
    const node = this.pane.childNodes[index];
    if (!node) return;
    const into = Math.min(1, anchor - Math.floor(Math.min(anchor, this.source.length - 1)));
    const top = this.box.scrollTop + at - (node.offsetTop + into * node.offsetHeight);
    this.pane.style.transform = `translateY(${Math.round(top)}px)`;
  }
}
