// Values that tell who looks at them when they change. A component reads one with useSignal and is drawn anew with it.
import { useLayoutEffect, useState } from './html.js';

export function signal(value) {
  const listeners = new Set();
  return {
    get value() { return value; },
    set value(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    /** Calls `listener` after each change; gives the function that ends this. */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useSignal(source) {
  const [, redraw] = useState(0);
  const drawn = source.value;
  useLayoutEffect(() => {
    const changed = () => redraw((n) => n + 1);
    if (!Object.is(drawn, source.value)) changed();
    return source.subscribe(changed);
  }, [source]);
  return drawn;
}

/** A signal that counts a clock's ticks; the clock runs only while somebody looks. */
export function clock(milliseconds) {
  const ticks = signal(Date.now());
  let watchers = 0;
  let timer = null;
  return {
    get value() { return ticks.value; },
    subscribe(listener) {
      const end = ticks.subscribe(listener);
      if (watchers++ === 0) timer = setInterval(() => { ticks.value = Date.now(); }, milliseconds);
      return () => {
        end();
        if (--watchers === 0) clearInterval(timer);
      };
    },
  };
}

export const eachSecond = clock(1000);
