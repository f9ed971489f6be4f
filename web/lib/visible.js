// Whether somebody can see the page. A browser opens six connections to a daemon, for all tabs together: one that is not
// seen gives back those that wait for news, and asks for what came in between when it is seen again.
const AWAY = 5000;                    // ms; who only looks aside keeps the connection

/** Resolves as soon as the page can be seen, or when `signal` aborts. */
export function visible(signal) {
  return new Promise((resolve) => {
    const look = () => { if (!document.hidden || signal.aborted) { stop(); resolve(); } };
    const stop = () => { document.removeEventListener('visibilitychange', look); signal.removeEventListener('abort', look); };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
    look();
  });
}

/** Calls `leave` when the page has been out of sight for a while; gives the function that ends this. */
export function onceHidden(leave) {
  let timer = null;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(leave, AWAY);
  };
  document.addEventListener('visibilitychange', look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', look);
  };
}
