// What a view shows of things whose figures no change tells: asked for anew every two seconds and soon after a change of
// that kind, at most once a second, while the view is shown and the page in sight.
import { get } from './api.js';
import { useEffect, useRef, useState } from './html.js';
import { onChange } from './store.js';

const AT_MOST = 1000;
const LONGEST = 5000;                 // items of one list

/** Every page of a list, as an array. */
export async function all(path, signal, query = {}) {
  const items = [];
  let page = { next_page_token: null };
  do {
    page = await get(path, { ...query, limit: 500, page_token: page.next_page_token }, signal);
    items.push(...page.items);
  } while (page.next_page_token && items.length < LONGEST);
  return items;
}

const isAnswer = (error) => error.status >= 400 && error.status < 500 && error.status !== 429;

/**
 * [what ask(signal) gave last, error, again()]. A new `key` asks anew; `every` null leaves it to again(). While the daemon
 * cannot be reached the last answer stays: the bar of the connection says so.
 */
export function useLive(key, ask, { hears = '', every = 2000 } = {}) {
  const [got, setGot] = useState({});
  const again = useRef(null);
  useEffect(() => {
    const asking = new AbortController();
    let last = 0;
    let timer = null;
    const run = async () => {
      timer = null;
      last = Date.now();
      try {
        const data = await ask(asking.signal);
        setGot({ key, data });
      } catch (error) {
        if (!asking.signal.aborted) setGot((held) => isAnswer(error) || !held.data ? { key, error } : held);
      }
    };
    const soon = () => { if (!document.hidden) timer ??= setTimeout(run, Math.max(0, last + AT_MOST - Date.now())); };
    again.current = run;
    run();
    const poll = every && setInterval(soon, every);
    const deaf = hears ? onChange(hears, soon) : () => {};
    return () => { asking.abort(); clearInterval(poll); clearTimeout(timer); deaf(); };
  }, [key]);
  const { data, error } = got.key === key ? got : {};
  return [data, error, () => again.current()];
}
