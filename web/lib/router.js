// Where we are: '#/processes/p_1?tab=log' is { path: ['processes', 'p_1'], query: { tab: 'log' } }. All that one would want to
// bookmark or send to somebody stands in the address.
import { signal } from './signal.js';

function parse(hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
  return { path: path.split('/').filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(piece) {
  try { return decodeURIComponent(piece); } catch { return piece; }
}

export const route = signal(parse(location.hash));
addEventListener('hashchange', () => { route.value = parse(location.hash); });

/** The address of a place, for href. Empty parts of the query are left out. */
export function href(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = new URLSearchParams(kept).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

export function go(path, query) {
  location.hash = href(path, query);
}

/** Changes parts of the query where we are, without a step in the history for each letter of a filter. */
export function refine(changes) {
  const { path, query } = route.value;
  history.replaceState(null, '', href(path, { ...query, ...changes }));
  route.value = parse(location.hash);
}
