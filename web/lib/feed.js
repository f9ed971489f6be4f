// A feed of the daemon (log, audit, changes) from its newest row back. The API reads feeds forwards only; so a page begins
// so many numbers before the row known last, and reaches twice as far back when filters left too little of it.
import { address, follow, get } from './api.js';
import { useEffect, useRef, useState } from './html.js';

const PAGE = 200;
const KEPT = 5000;

/** The number of the newest row: the cursor behind a page that nothing matches. */
const newest = async (path, nobody, signal) => (await get(path, { ...nobody, limit: 1 }, signal)).next_after;

async function before(path, query, end, signal) {
  const items = [];
  let low = end;
  for (let reach = PAGE; low > 0 && items.length < PAGE / 2; reach *= 2) {
    const high = low;
    const found = [];
    let after = low = Math.max(0, high - reach);
    while (after < high) {
      const page = await get(path, { ...query, after, limit: 500 }, signal);
      found.push(...page.items.filter((one) => one.seq > low && one.seq <= high && one.type !== 'reset'));
      if (page.next_after <= after) break;
      after = page.next_after;
    }
    items.unshift(...found);
  }
  return { items: items.reverse(), low };
}

/**
 * { items (newest first), error, older() or null }; items is null until the first page is here. New rows come by a stream of
 * their own while this is shown. `nobody`: a filter that nothing matches.
 */
export function useFeed(path, query, nobody) {
  const [state, setState] = useState({ items: null, low: 0 });
  const asking = useRef(null);
  const key = address(path, query);
  useEffect(() => {
    const mine = asking.current = new AbortController();
    const { signal } = mine;
    setState({ items: null, low: 0 });
    const add = (item) => { if (item.type !== 'reset') setState((held) =>
      ({ ...held, items: [item, ...held.items].slice(0, KEPT) })); };
    const begin = async () => {
      let last = await newest(path, nobody, signal);
      setState(await before(path, query, last, signal));
      follow({ path: () => address(path, { ...query, after: last, follow: true }), item: (one) => { last = one.seq; add(one); },
        refused: (error) => setState({ items: null, error }), signal });
    };
    begin().catch((error) => { if (!signal.aborted) setState({ items: null, error }); });
    return () => mine.abort();
  }, [key]);
  const older = async () => {
    const { items, low } = await before(path, query, state.low, asking.current.signal);
    setState((held) => ({ ...held, items: [...held.items, ...items], low }));
  };
  return { items: state.items, error: state.error, older: state.low > 0 ? older : null };
}
