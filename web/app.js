// The page: who may come in, where one is, and the frame around the views. A view is a row in `views`.
import { html, render, useEffect, useLayoutEffect, useRef } from './lib/html.js';
import { session, enter, leave } from './lib/session.js';
import { useSignal } from './lib/signal.js';
import { login, learnScopes } from './lib/api.js';
import { go, route } from './lib/router.js';
import { listen } from './lib/commands.js';
import { visible } from './lib/format.js';
import * as store from './lib/store.js';
import { t } from './lib/words.js';
import { Empty, Link } from './ui/basics.js';
import { Overlays, toast } from './ui/overlay.js';
import { Shell } from './ui/shell.js';
import { Login } from './views/login.js';
import { Processes } from './views/processes.js';
import { Process } from './views/process.js';
import { Start } from './views/start.js';
import { Coordination } from './views/coordination.js';
import { Daemon } from './views/daemon.js';

/** Where a path leads: the first whose pattern fits. ':x' is handed to the view as a property. */
const views = [
  { path: [], view: Processes, title: () => t.app.processes },
  { path: ['processes'], view: Processes, title: () => t.app.processes },
  { path: ['processes', ':id'], view: Process, title: ({ id }) => visible(store.processes.get(id)?.name ?? id) },
  { path: ['start'], view: Start, title: () => t.app.start },
  { path: ['coordination'], view: Coordination, title: () => t.app.coordination },
  { path: ['coordination', ':kind'], view: Coordination, title: () => t.app.coordination },
  { path: ['coordination', ':kind', ':name'], view: Coordination, title: ({ name }) => name },
  { path: ['daemon'], view: Daemon, title: () => t.app.daemon },
];

const capture = (pattern) => (piece, i) => pattern[i].startsWith(':') ? [[pattern[i].slice(1), piece]] : [];

function find(path) {
  const fits = (pattern) => pattern.length === path.length && pattern.every((piece, i) => piece.startsWith(':') || piece === path[i]);
  const found = views.find((one) => fits(one.path));
  return found && { ...found, props: Object.fromEntries(path.flatMap(capture(found.path))) };
}

const Nowhere = () => html`<${Empty} title=${t.app.unknown}><${Link} path=${['processes']}>${t.app.unknownHint}<//><//>`;

/** A new place begins at its heading, for whoever does not see it change. */
function useArrival(path, title) {
  const first = useRef(true);
  useLayoutEffect(() => {
    document.title = t.app.title(title);
    if (!first.current && document.activeElement === document.body) document.querySelector('main h1')?.focus();
    first.current = false;
  }, [path.join('/'), title]);
}

function Place() {
  const { path, query } = useSignal(route);
  useSignal(store.version);
  const { view: View = Nowhere, props = {}, title } = find(path) ?? {};
  useArrival(path, title?.(props));
  return html`<${View} key=${path.join('/')} query=${query} ...${props} />`;
}

function App() {
  const { state } = useSignal(session);
  useEffect(() => {
    if (state !== 'in') return undefined;
    store.start();
    learnScopes().catch(() => {});
    return store.stop;
  }, [state]);
  return html`<${Shell} open=${state === 'in'}>${state === 'in' ? html`<${Place} />` : html`<${Login} />`}<//><${Overlays} />`;
}

/** An address with #login=CODE or #token=… is used once and must not stay in the address bar or the history. */
async function arrive() {
  const handed = new URLSearchParams(location.hash.slice(1));
  const [code, token] = [handed.get('login'), handed.get('token')];
  if (code === null && token === null) return;
  history.replaceState(null, '', location.pathname);
  go(['processes']);
  if (token !== null) { enter(token); return; }
  leave();
  const refused = (error) => toast(error.code === 'login_failed' ? t.login.code : error.message, 'bad');
  await login(code).then((made) => enter(made.token), refused);
}

await arrive();
addEventListener('hashchange', arrive);
listen();
render(html`<${App} />`, document.getElementById('app'));
