// Which processes are shown, and in what order: pure functions over records. The filter is what stands in the address.
import { commandLine } from './format.js';

const haystacks = new WeakMap();

/** All that a search looks through, in lower case; made once for a record. */
function haystack(p) {
  let text = haystacks.get(p);
  if (text === undefined) {
    const labels = Object.entries(p.labels).map(([key, value]) => `${key}=${value}`);
    text = [p.name, commandLine(p.argv), p.id, p.pid, p.state, ...labels].join('\n').toLowerCase();
    haystacks.set(p, text);
  }
  return text;
}

const ENDED_ON_REQUEST = ['stopped', 'shutdown', 'parent_exit'];

/** An end that somebody asked for is none to be shown in red. */
export const wentWrong = (p) => ['failed', 'lost'].includes(p.state)
  || (Boolean(p.exitcode) && !ENDED_ON_REQUEST.includes(p.exit?.reason));

const waiting = (p) => ['created', 'pending'].includes(p.state);

export const GROUPS = {
  all: () => true,
  live: (p) => p.alive || waiting(p),
  ended: (p) => !p.alive && !waiting(p),
  wrong: wentWrong,
};

export function matches({ q = '', group = 'all' }) {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const belongs = GROUPS[group] ?? GROUPS.all;
  return (p) => belongs(p) && words.every((word) => haystack(p).includes(word));
}

/** Parents before their children, each with its depth; whoever's parent is not among them stands at depth 0. */
export function asTree(rows) {
  const children = Map.groupBy(rows, (p) => p.parent);
  const ids = new Set(rows.map((p) => p.id));
  const out = [];
  const pending = rows.filter((p) => !ids.has(p.parent)).reverse().map((p) => [p, 0]);
  while (pending.length > 0) {
    const [p, depth] = pending.pop();
    out.push({ p, depth });
    for (const child of [...(children.get(p.id) ?? [])].reverse()) pending.push([child, depth + 1]);
  }
  return out;
}
