// A line of output as DOM nodes: SGR colours become classes, everything else a terminal would obey is shown or left out.
//
// Output is hostile until proven otherwise: titles, links and cursor movements (OSC, CSI …) vanish, control characters and
// marks that turn the direction of text are shown as what they are. Nothing here makes markup from text.

const SPECIAL = new RegExp([
  /\x1b\[([0-?]*)[ -/]*([@-~])/,                                   // CSI; with m: colours
  /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)/,                    // OSC, DCS and their kin, up to their end
  /\x1b[ -/]*[0-~]?|\x9b[0-?]*[ -/]*[@-~]/,                        // other escapes
  /([\x00-\x08\x0b-\x1f\x7f-\x9f])/,                              // control characters
  /([\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff])/,     // marks of direction, and what has no width
].map((one) => one.source).join('|'), 'g');
const FLAGS = { 1: 'bold', 2: 'faint', 3: 'italic', 4: 'underline', 7: 'inverse', 9: 'strike' };
const OFF = { 22: ['bold', 'faint'], 23: ['italic'], 24: ['underline'], 27: ['inverse'], 29: ['strike'] };

const LEVELS = [0, 95, 135, 175, 215, 255];

/** One of 256 colours: the first 16 are the theme's, the rest a cube and a ramp of greys. */
function indexed(n) {
  if (n < 16) return n;
  if (n >= 232) return `rgb(${Array(3).fill(8 + (n - 232) * 10).join()})`;
  return `rgb(${[LEVELS[Math.floor((n - 16) / 36)], LEVELS[Math.floor((n - 16) / 6) % 6], LEVELS[(n - 16) % 6]].join()})`;
}

/** 38;5;n and 38;2;r;g;b from `at` on: [colour, how many numbers were taken]. */
function extended(codes, at) {
  if (codes[at + 1] === 5 && codes[at + 2] < 256) return [indexed(codes[at + 2]), 2];
  const rgb = codes.slice(at + 2, at + 5);
  if (codes[at + 1] === 2 && rgb.length === 3 && rgb.every((one) => one < 256)) return [`rgb(${rgb.join()})`, 4];
  return [null, codes.length];
}

function applySgr(style, text) {
  const codes = text.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) Object.assign(style, { flags: new Set(), fg: null, bg: null });
    else if (FLAGS[code]) style.flags.add(FLAGS[code]);
    else if (OFF[code]) OFF[code].forEach((one) => style.flags.delete(one));
    else if (code === 38 || code === 48) {
      const [colour, taken] = extended(codes, i);
      style[code === 38 ? 'fg' : 'bg'] = colour;
      i += taken;
    } else if (code === 39) style.fg = null;
    else if (code === 49) style.bg = null;
    else if (code >= 30 && code <= 37) style.fg = code - 30;
    else if (code >= 90 && code <= 97) style.fg = code - 82;
    else if (code >= 40 && code <= 47) style.bg = code - 40;
    else if (code >= 100 && code <= 107) style.bg = code - 92;
  }
}

function span(text, classes, title) {
  const node = document.createElement('span');
  node.className = classes;
  node.textContent = text;
  if (title) node.title = title;
  return node;
}

function styled(text, { flags, fg, bg }) {
  if (flags.size === 0 && fg === null && bg === null) return document.createTextNode(text);
  const named = [typeof fg === 'number' && `fg${fg}`, typeof bg === 'number' && `bg${bg}`];
  const node = span(text, [...flags, ...named].filter(Boolean).join(' '));
  if (typeof fg === 'string') node.style.color = fg;
  if (typeof bg === 'string') node.style.backgroundColor = bg;
  return node;
}

const codePoint = (c) => `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
const control = (c) => span(c < ' ' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : codePoint(c), 'control', codePoint(c));

/** The pieces of text with their style, marked where `hit` (a global RegExp) is found. */
function marked(text, style, hit, out) {
  let at = 0;
  if (hit) {
    hit.lastIndex = 0;
    for (let found = hit.exec(text); found && found[0] !== ''; found = hit.exec(text)) {
      if (found.index > at) out.push(styled(text.slice(at, found.index), style));
      out.push(span(found[0], 'hit'));
      at = found.index + found[0].length;
    }
  }
  if (at < text.length) out.push(styled(text.slice(at), style));
}

/** The nodes of one line. */
export function ansi(line, hit) {
  const out = [];
  const style = { flags: new Set(), fg: null, bg: null };
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  let at = 0;
  for (const found of text.matchAll(SPECIAL)) {
    if (found.index > at) marked(text.slice(at, found.index), style, hit, out);
    at = found.index + found[0].length;
    if (found[2] === 'm' && /^[\d;:]*$/.test(found[1])) applySgr(style, found[1]);
    else if (found[3] ?? found[4]) out.push(control(found[3] ?? found[4]));
  }
  if (at < text.length) marked(text.slice(at), style, hit, out);
  return out;
}
