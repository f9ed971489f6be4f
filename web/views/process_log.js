// The output of a process: live, searched, filtered, and with an address for each line.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../lib/html.js';
import { bytes as fetchBytes, call, save } from '../lib/api.js';
import { useCommands } from '../lib/commands.js';
import { downloadName } from '../lib/log_source.js';
import { refine } from '../lib/router.js';
import { may } from '../lib/session.js';
import { useSignal } from '../lib/signal.js';
import { t } from '../lib/words.js';
import { Button, Failure } from '../ui/basics.js';
import { attempt, toast } from '../ui/overlay.js';
import { LogPane } from './log_pane.js';

const VIEW = 'forkful-log';

/** How lines are shown is kept in the browser; which ones stands in the address. */
function useView() {
  const [view, setView] = useState(() => {
    try { return { wrap: true, times: false, ...JSON.parse(localStorage.getItem(VIEW)) }; } catch { return { wrap: true, times: false }; }
  });
  const toggle = (name) => {
    const next = { ...view, [name]: !view[name] };
    localStorage.setItem(VIEW, JSON.stringify(next));
    setView(next);
  };
  return [view, toggle];
}

/** filter: null for all of it, as it was written. */
const download = (p, filter) => attempt(async () => {
  save(await fetchBytes(`/v1/processes/${p.id}/logs`, filter ?? {}), downloadName(p, filter ? '-filtered.log' : '.log'));
});

/** Input for a process that reads: a line at a time, and the end of it. */
function Stdin({ p }) {
  const [text, setText] = useState('');
  const send = async (raw, query, done) => {
    const write = () => call('POST', `/v1/processes/${p.id}/stdin`, { raw, query, type: 'text/plain' });
    if (await attempt(write, done)) setText('');
  };
  return html`<form class="row stdin" onSubmit=${(event) => { event.preventDefault(); send(`${text}\n`); }}>
    <label class="mono" for="stdin">${t.log.stdin}</label>
    <input id="stdin" class="mono grow" autocomplete="off" spellcheck="false" placeholder=${t.log.stdinHint}
      value=${text} onInput=${(event) => setText(event.target.value)} />
    <${Button} type="submit">${t.log.send}<//>
    <${Button} kind="quiet" onClick=${() => send('', { eof: true }, t.log.eofSent)}>${t.log.eof}<//>
  </form>`;
}

function Search({ grep, only, find }) {
  const field = useRef(null);
  const submit = (event) => {
    event.preventDefault();
    const text = field.current.value;
    if (text !== grep) refine({ grep: text, line: '' });
    else if (!only) find(true);
  };
  const leave = (event) => {
    if (event.key !== 'Escape') return;
    refine({ grep: '', only: '' });
    event.target.blur();
  };
  return html`<form class="row grow" role="search" onSubmit=${submit}>
    <input ref=${field} type="search" data-search class="search mono" aria-label=${t.log.search} placeholder=${t.log.search}
      value=${grep} spellcheck="false" aria-keyshortcuts="/" onKeyDown=${leave} />
    ${grep && !only && html`
      <${Button} kind="quiet" aria-label=${t.log.before} onClick=${() => find(false)}>↑<//>
      <${Button} kind="quiet" aria-label=${t.log.next} onClick=${() => find(true)}>↓<//>`}
    <label class="check"><input type="checkbox" checked=${only}
      onChange=${() => refine({ grep: field.current.value, only: only ? '' : '1', line: '' })} />${t.log.only}</label>
  </form>`;
}

function Toolbar({ p, choice, view, toggle, find }) {
  const { grep, only, stream } = choice;
  const filtered = stream || (only && grep);
  useCommands([
    { id: 'log.next', title: t.log.next, keys: 'n', run: () => find(true) },
    { id: 'log.before', title: t.log.before, keys: 'N', run: () => find(false) },
    { id: 'log.only', title: t.log.only, keys: '&', run: () => refine({ only: only ? '' : '1', line: '' }) },
    { id: 'log.wrap', title: t.log.wrap, keys: 'w', run: () => toggle('wrap') },
    { id: 'log.times', title: t.log.times, keys: 't', run: () => toggle('times') },
    { id: 'log.raw', title: t.log.download, run: () => download(p, null) },
  ]);
  const Switch = ({ name }) => html`
    <${Button} kind="quiet" aria-pressed=${view[name] ? 'true' : 'false'} onClick=${() => toggle(name)}>${t.log[name]}<//>`;
  return html`<div class="row log-bar">
    <${Search} grep=${grep} only=${only} find=${find} />
    <select aria-label=${t.log.stream} value=${stream} onChange=${(event) => refine({ stream: event.target.value, line: '' })}>
      ${['', 'stdout', 'stderr'].map((one) => html`<option key=${one} value=${one}>${one || t.log.both}</option>`)}</select>
    ${Switch({ name: 'wrap' })}${Switch({ name: 'times' })}
    <${Button} kind="quiet" onClick=${() => download(p, null)}>${t.log.download}<//>
    ${filtered && html`<${Button} kind="quiet"
      onClick=${() => download(p, { ...(only && grep && { grep }), stream })}>${t.log.downloadFiltered}<//>`}
  </div>`;
}

function Footer({ status, follow, filtered }) {
  const { following, length, seen, ended, error } = status;
  const fresh = length - seen;
  const count = filtered ? t.log.matches(length) : t.log.lines(length);
  return html`<div class="row log-foot">
    <${Button} aria-pressed=${following ? 'true' : 'false'} onClick=${() => follow(!following)}>
      ${following ? t.log.following : t.log.follow}<//>
    ${!following && fresh > 0 && html`<${Button} kind="main" onClick=${() => follow(true)}>${t.log.fresh(fresh)} ↓<//>`}
    <span class="soft" role="status">${error ? error.message : count}${ended ? ` · ${t.log.complete}` : ''}</span>
  </div>`;
}

export function Log({ p, query }) {
  const box = useRef(null);
  const [view, toggle] = useView();
  const choice = { grep: query.grep ?? '', only: query.only === '1', stream: query.stream ?? '' };
  const { grep, only, stream } = choice;
  const pane = useMemo(() => new LogPane(p.id), [p.id]);
  const status = useSignal(pane.status);
  useLayoutEffect(() => pane.attach(box.current), [pane]);
  useEffect(() => pane.redraw(query), [pane, grep, view.wrap, view.times]);
  useEffect(() => pane.look({ grep, only, stream, line: query.line }), [pane, only && grep, stream, query.line]);
  const follow = (on) => pane.follow(on);
  const find = (forward) => grep && attempt(async () => {
    if (!await pane.find(grep, forward)) toast(t.log.notFound(grep), 'bad');
  });
  useCommands([
    { id: 'log.follow', title: t.log.follow, keys: 'f', run: () => follow(!status.following) },
    { id: 'log.end', title: t.log.end, keys: 'G', run: () => follow(true) },
  ]);
  const refused = status.error?.status >= 400 && status.error.status < 500;
  const filtered = Boolean(stream || (only && grep));
  return html`
    <${Toolbar} p=${p} choice=${choice} view=${view} toggle=${toggle} find=${find} />
    ${refused && html`<${Failure} error=${status.error} />`}
    <div class=${`log fill ${view.wrap ? 'wrap' : ''} ${view.times ? 'times' : ''}`} hidden=${refused} ref=${box}
      role="log" aria-live="off" aria-label=${t.log.title} tabindex="0"></div>
    ${status.ended && status.length === 0 && html`<p class="state">${filtered ? t.common.noMatch : t.log.none}</p>`}
    <${Footer} status=${status} follow=${follow} filtered=${filtered} />
    ${p.alive && may('operate') && html`<${Stdin} p=${p} />`}`;
}
