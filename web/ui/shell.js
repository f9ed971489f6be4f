// The frame: navigation, the badge of the connection, the theme, the palette and the keys that work everywhere.
import { html, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { logOut } from '../lib/api.js';
import { registered, useCommands } from '../lib/commands.js';
import { duration } from '../lib/format.js';
import { go, href, route } from '../lib/router.js';
import { eachSecond, signal, useSignal } from '../lib/signal.js';
import { connection } from '../lib/store.js';
import { t } from '../lib/words.js';
import { open } from './overlay.js';

const PLACES = [['processes', 'g p'], ['coordination', 'g c'], ['daemon', 'g d']];
const THEMES = ['auto', 'light', 'dark'];
const theme = signal(localStorage.getItem('forkful-theme') ?? 'auto');

function wear(name) {
  theme.value = name;
  localStorage.setItem('forkful-theme', name);
  document.documentElement.dataset.theme = name;
  dispatchEvent(new Event('themechange'));
}
const nextTheme = () => wear(THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]);
wear(THEMES.includes(theme.value) ? theme.value : 'auto');
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => dispatchEvent(new Event('themechange')));

/** '● live', or for how long not. Screen readers hear of a change, not of each second. */
function Badge() {
  const { state, since } = useSignal(connection);
  useSignal(eachSecond);
  const text = state === 'lost' ? t.link.lost(duration((Date.now() - since) / 1000)) : t.link[state];
  return html`<span class=${`badge ${state}`}><span aria-hidden="true">${text}</span><span class="unseen"
      role="status">${t.link[state === 'lost' ? 'lostShort' : state]}</span></span>`;
}

/** After some seconds a badge is not enough: what is shown is old, and that must be seen. */
function LostBar() {
  const { state, since, retry, error } = useSignal(connection);
  const now = useSignal(eachSecond);
  if (state === 'refused') return html`<section class="bar bad" aria-label=${t.link.title}>${error.message}</section>`;
  if (state !== 'lost' || now - since < 3000) return null;
  const again = Math.ceil((retry - now) / 1000);
  const when = again > 0 ? t.link.in(duration(again)) : t.link.now;
  return html`<section class="bar warn"
      aria-label=${t.link.title}>${t.link.lostLong(duration((now - since) / 1000), when)}</section>`;
}

function matches(command, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => command.title.toLowerCase().includes(word));
}

const Keys = ({ keys }) => keys && html`<span class="keys">${[keys].flat().map((one) => html`<kbd>${one}</kbd>`)}</span>`;

function Palette({ close }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef(null);
  const all = useMemo(() => {
    const latest = new Map(registered.value.filter((one) => !one.hidden).map((one) => [one.title, one]));
    return [...latest.values()].sort((a, b) => Number(a.general ?? false) - Number(b.general ?? false));
  }, []);
  const found = all.filter((one) => matches(one, text));
  useEffect(() => { list.current?.children[at]?.scrollIntoView({ block: 'nearest' }); }, [at]);
  const run = (command) => { close(); command.run(); };
  const onKey = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) { event.preventDefault(); setAt((at + by + found.length) % (found.length || 1)); }
    if (event.key === 'Enter' && found[at]) { event.preventDefault(); run(found[at]); }
  };
  return html`<div class="palette">
    <input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-label=${t.app.paletteHint}
        placeholder=${t.app.paletteHint} autofocus
      aria-activedescendant=${found[at] && `palette-${at}`} value=${text}
      onKeyDown=${onKey} onInput=${(event) => { setText(event.target.value); setAt(0); }} />
    <ul id="palette-list" role="listbox" aria-label=${t.app.palette} ref=${list}>${found.map((one, i) => html`
      <li key=${one.title} id=${`palette-${i}`} role="option" aria-selected=${i === at ? 'true' : 'false'}
          onClick=${() => run(one)}>
        <span>${one.title}</span><${Keys} keys=${one.keys} /></li>`)}</ul>
    ${found.length === 0 && html`<p class="soft">${t.app.paletteNone}</p>`}
  </div>`;
}

const openPalette = () => open(t.app.palette, (close) => html`<${Palette} close=${close} />`);

function openHelp() {
  const seen = new Map(registered.value.filter((one) => one.keys).map((one) => [one.title, one.keys]));
  open(t.app.help, () => html`<p class="soft">${t.app.helpHint}</p>
    <dl class="help">${[...seen].map(([title, keys]) => html`
      <div key=${title}><dt>${title}</dt><dd><${Keys} keys=${keys} /></dd></div>`)}</dl>`);
}

function useOwnCommands(signedIn) {
  useCommands([
    { id: 'help', title: t.commands.help, keys: '?', run: openHelp },
    { id: 'palette', title: t.commands.palette, keys: ['Ctrl+k', ':'], run: openPalette, hidden: true },
    { id: 'theme', title: t.commands.theme, run: nextTheme },
    ...(signedIn ? PLACES.map(([place, keys]) => ({ id: place, title: t.commands[place], keys, run: () => go([place]) })) : []),
    ...(signedIn ? [{ id: 'leave', title: t.commands.leave, run: logOut },
      { id: 'search', title: t.commands.search, keys: '/', run: () => document.querySelector('[data-search]')?.focus() }] : []),
  ].map((command) => ({ ...command, general: true })));
}

const ICONS = { auto: '◐', light: '○', dark: '●' };

export function Shell({ open: signedIn, children }) {
  const { path } = useSignal(route);
  const worn = useSignal(theme);
  useOwnCommands(signedIn);
  const here = path[0] === undefined || path[0] === 'start' ? 'processes' : path[0];
  return html`<div class="shell">
    <a class="skip" href="#main"
        onClick=${(event) => { event.preventDefault(); document.querySelector('main h1')?.focus(); }}>${t.app.skip}</a>
    <header class="top">
      <a class="brand" href="#/processes">${t.app.name}</a>
      ${signedIn && html`<nav aria-label=${t.app.navigation}>${PLACES.map(([place]) => html`
        <a key=${place} href=${href([place])} aria-current=${here === place ? 'page' : undefined}>${t.app[place]}</a>`)}</nav>`}
      <div class="tools">
        ${signedIn && html`<${Badge} />`}
        <button type="button" class="icon" aria-label=${t.app.palette} title=${`${t.app.palette} (Ctrl+K)`}
            onClick=${openPalette}>⌘</button>
        <button type="button" class="icon" aria-label=${t.app.theme[worn]} title=${t.app.theme[worn]}
            onClick=${nextTheme}>${ICONS[worn]}</button>
        <button type="button" class="icon" aria-label=${t.app.help} title=${`${t.app.help} (?)`} onClick=${openHelp}>?</button>
      </div>
    </header>
    ${signedIn && html`<${LostBar} />`}
    <main id="main">${children}</main>
  </div>`;
}
