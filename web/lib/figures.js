// What processes use, over time: one call every two seconds for those in sight, while the page is. Nobody in sight, no calls.
import { get } from './api.js';
import { signal } from './signal.js';

const EVERY = 2000;
const POINTS = 30;
const AT_ONCE = 100;                  // as many ids as one call takes

/** id → { cpu: shares of one core, rss: bytes, newest last, and `now`, the last answer }. */
export const figures = new Map();
export const drawn = signal(0);

let wanted = [];
let timer = null;
let asking = false;

/** From now on these are in sight. */
export function watch(ids) {
  wanted = ids.slice(0, AT_ONCE);
  timer ??= setInterval(ask, EVERY);
  if (wanted.some((id) => !figures.has(id))) ask();
}

export function unwatch() {
  wanted = [];
  clearInterval(timer);
  timer = null;
}

async function ask() {
  if (asking || wanted.length === 0 || document.hidden) return;
  asking = true;
  try {
    const { items } = await get('/v1/processes/stats', { ids: wanted.join() });
    items.forEach(keep);
    drawn.value += 1;
  } catch { /* the badge of the connection tells */ }
  asking = false;
}

/** Counters become shares: processor seconds per second since the answer before. */
function keep(now) {
  const known = figures.get(now.id) ?? { cpu: [], rss: [], now: null };
  const seconds = known.now && (Date.parse(now.at) - Date.parse(known.now.at)) / 1000;
  if (seconds === null || seconds > 0.5) {
    const share = seconds ? Math.max(0, (now.tree_cpu_seconds - known.now.tree_cpu_seconds) / seconds) : null;
    figures.delete(now.id);
    const cpu = share === null ? known.cpu : [...known.cpu, share].slice(-POINTS);
    figures.set(now.id, { cpu, rss: [...known.rss, now.tree_rss_bytes].slice(-POINTS), now });
  }
  if (figures.size > 1000) figures.delete(figures.keys().next().value);
}
