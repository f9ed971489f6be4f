// The output of a process: live, searched, filtered, and with an address for each line.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { ansi } from '../lib/ansi.js';
import { bytes as fetchBytes, call } from '../lib/api.js';
import { useCommands } from '../lib/commands.js';
import { count, moment, utc } from '../lib/format.js';
import { downloadName, Found, pattern, search, Whole } from '../lib/log_source.js';
import { href, refine } from '../lib/router.js';
import { may } from '../lib/session.js';
import { missing, t } from '../lib/words.js';
import { Button, Failure } from '../ui/basics.js';
import { attempt, toast } from '../ui/overlay.js';
import { Lines } from '../ui/lines.js';

const utf8 = new TextDecoder();
const textOf = (line) => line.text ?? utf8.decode(Uint8Array.from(atob(line.data_base64), (c) => c.charCodeAt(0)));

function element(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** One line as a node: number (its address), time, text. `context`: filtered, so the number leads out to all lines. */
function makeLine(line, seq, picked, { id, hit, query }) {
  const row = element('div', `line ${line?.stream ?? ''} ${picked ? 'picked' : ''} ${line?.partial ? 'partial' : ''}`);
  const number = element('a', 'line-number', seq);
  number.href = href(['processes', id], { ...query, line: seq, grep: undefined, only: undefined, stream: undefined });
  number.title = t.log.toLine(seq);
  number.tabIndex = -1;
  row.append(number);
  if (!line) {
    row.append(element('span', 'soft', line === null ? '' : '…'));
    return row;
  }
  const time = element('time', 'line-time', moment(line.at, { millis: true }));
  time.dateTime = line.at;
  time.title = utc(line.at);
  const text = element('span', 'line-text');
  if (line.gap) text.append(element('span', 'line-gap', `${missing(line.gap)} `));
  if (line.stream && (line.text !== undefined || line.data_base64 !== undefined)) text.append(...ansi(textOf(line), hit));
  row.append(time, text);
  return row;
}

function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Input for a process that reads: a line at a time, and the end of it. */
function Stdin({ p }) {
  const [text, setText] = useState('');
  const send = async (raw, query, done) => {
    if (await attempt(() => call('POST', `/v1/processes/${p.id}/stdin`, { raw, query, type: 'text/plain' }), done)) setText('');
  };
  return html`<form class="row stdin" onSubmit=${(event) => { event.preventDefault(); send(`${text}\n`); }}>
    <label class="mono" for="stdin">${t.log.stdin}</label>
    <input id="stdin" class="mono grow" autocomplete="off" spellcheck="false" placeholder=${t.log.stdinHint} value=${text} onInput=${(event) => setText(event.target.value)} />
    <${Button} type="submit">${t.log.send}<//>
    <${Button} kind="quiet" onClick=${() => send('', { eof: true }, t.log.eofSent)}>${t.log.eof}<//>
  </form>`;
}

/** What the address says of the log: which lines, and how they are looked for. */
const choice = ({ grep = '', only = '', stream = '' }) => ({ grep, only: only === '1', stream });

/** The list and its source live outside of the components: they change with each frame. */
function useLines(p, query, view) {
  const { grep, only, stream } = choice(query);
  const box = useRef(null);
  const live = useRef({ lines: null, source: null });
  const [status, setStatus] = useState({ following: !query.line, length: 0, seen: 0, error: null, ended: false });
  const now = useRef(status);
  const set = (changes) => { now.current = { ...now.current, ...changes }; setStatus(now.current); };
  const draw = useRef(null);
  draw.current = (line, seq, picked) => makeLine(line, seq, picked, { id: p.id, hit: pattern(grep), query });

  useLayoutEffect(() => {
    const older = async () => {
      const { source, lines } = live.current;
      const rows = await source.older?.();
      if (!rows || source !== live.current.source) return;
      lines.keepPlace(rows);
      set({ length: source.length, seen: now.current.seen + rows });
    };
    const lines = new Lines(box.current, (...line) => draw.current(...line), {
      moved: (atEnd) => { if (atEnd !== now.current.following) set({ following: atEnd, seen: live.current.source.length }); },
      top: older,
    });
    live.current.lines = lines;
    return () => lines.close();
  }, []);

  useEffect(() => {
    const filter = { ...(only && grep && { grep }), ...(stream && { stream }) };
    const { lines } = live.current;
    let arrived = false;
    const changed = () => {
      if (!arrived && query.line && source.length > 0 && source.rowOf) {
        arrived = true;
        lines.show(Math.max(0, Math.min(source.length - 1, source.rowOf(Number(query.line)))));
      }
      set({ length: source.length });
      if (now.current.following) lines.toEnd();
      lines.changed();
    };
    const on = { changed, failed: (error) => { if (error !== now.current.error) set({ error }); }, ended: () => set({ ended: true }) };
    const source = Object.keys(filter).length > 0 ? new Found(p.id, filter, on) : new Whole(p.id, on);
    live.current.source = source;
    lines.picked = null;
    set({ following: !query.line, length: 0, seen: 0, error: null, ended: false });
    lines.reset(source);
    source.run();
    return () => source.close();
  }, [p.id, only && grep, stream, query.line]);

  useEffect(() => { live.current.lines.reset(live.current.source); }, [grep, view.wrap, view.times]);

  const follow = (on) => {
    set({ following: on, seen: live.current.source.length });
    if (on) live.current.lines.toEnd();
  };
  return { box, live, status, follow };
}

const VIEW = 'forkful-log';
const readView = () => { try { return { wrap: true, times: false, ...JSON.parse(localStorage.getItem(VIEW)) }; } catch { return { wrap: true, times: false }; } };

/** Goes from one place where `grep` is found to the next, through lines that were never fetched. */
function useSearch(p, grep, live, status) {
  const at = useRef(null);
  useEffect(() => { at.current = null; }, [grep]);
  return (forward) => attempt(async () => {
    if (!grep) return;
    const { source, lines } = live.current;
    const from = at.current ?? (forward ? 0 : source.seqAt(source.length - 1) + 1);
    const found = await search(p.id, grep, from, forward) ?? await search(p.id, grep, forward ? 0 : Number.MAX_SAFE_INTEGER, forward);
    if (found === null) { toast(t.log.notFound(grep), 'bad'); return; }
    at.current = found;
    status.leave();
    lines.show(source.rowOf(found));
  });
}

function Toolbar({ p, query, view, setView, find }) {
  const { grep, only, stream } = choice(query);
  const field = useRef(null);
  const download = (filtered) => attempt(async () => {
    const asked = filtered ? { ...(only && grep && { grep }), stream } : {};
    save(await fetchBytes(`/v1/processes/${p.id}/logs`, asked), downloadName(p, filtered ? '-filtered.log' : '.log'));
  });
  const toggle = (name) => setView({ ...view, [name]: !view[name] });
  const submit = (event) => {
    event.preventDefault();
    const text = field.current.value;
    if (text !== grep) refine({ grep: text, line: '' });
    else if (!only) find(true);
  };
  useCommands([
    { id: 'log.next', title: t.log.next, keys: 'n', run: () => find(true) },
    { id: 'log.before', title: t.log.before, keys: 'N', run: () => find(false) },
    { id: 'log.only', title: t.log.only, keys: '&', run: () => refine({ only: only ? '' : '1', line: '' }) },
    { id: 'log.wrap', title: t.log.wrap, keys: 'w', run: () => toggle('wrap') },
    { id: 'log.times', title: t.log.times, keys: 't', run: () => toggle('times') },
    { id: 'log.raw', title: t.log.download, run: () => download(false) },
  ]);
  return html`<div class="row log-bar">
    <form class="row grow" role="search" onSubmit=${submit}>
      <input ref=${field} type="search" data-search class="search mono" aria-label=${t.log.search} placeholder=${t.log.search} value=${grep} spellcheck="false" aria-keyshortcuts="/"
        onKeyDown=${(event) => { if (event.key === 'Escape') { refine({ grep: '', only: '' }); event.target.blur(); } }} />
      ${grep && !only && html`<${Button} kind="quiet" aria-label=${t.log.before} onClick=${() => find(false)}>↑<//><${Button} kind="quiet" aria-label=${t.log.next} onClick=${() => find(true)}>↓<//>`}
      <label class="check"><input type="checkbox" checked=${only} onChange=${() => refine({ grep: field.current.value, only: only ? '' : '1', line: '' })} />${t.log.only}</label>
    </form>
    <select aria-label=${t.log.stream} value=${stream} onChange=${(event) => refine({ stream: event.target.value, line: '' })}>
      ${['', 'stdout', 'stderr'].map((one) => html`<option key=${one} value=${one}>${one || t.log.both}</option>`)}</select>
    <${Button} kind="quiet" aria-pressed=${view.wrap ? 'true' : 'false'} onClick=${() => toggle('wrap')}>${t.log.wrap}<//>
    <${Button} kind="quiet" aria-pressed=${view.times ? 'true' : 'false'} onClick=${() => toggle('times')}>${t.log.times}<//>
    <${Button} kind="quiet" onClick=${() => download(false)}>${t.log.download}<//>
    ${(stream || (only && grep)) && html`<${Button} kind="quiet" onClick=${() => download(true)}>${t.log.downloadFiltered}<//>`}
  </div>`;
}

function Footer({ p, status, follow, filtered }) {
  const { following, length, seen, ended, error } = status;
  const fresh = length - seen;
  return html`<div class="row log-foot">
    <${Button} aria-pressed=${following ? 'true' : 'false'} onClick=${() => follow(!following)}>${following ? t.log.following : t.log.follow}<//>
    ${!following && fresh > 0 && html`<${Button} kind="main" onClick=${() => follow(true)}>${t.log.fresh(fresh)} ↓<//>`}
    <span class="soft" role="status">${error ? error.message : filtered ? t.log.matches(length) : t.log.lines(length)}${ended ? ` · ${t.log.complete}` : ''}</span>
  </div>
  ${p.alive && may('operate') && html`<${Stdin} p=${p} />`}`;
}

export function Log({ p, query }) {
  const [view, setView] = useState(readView);
  useEffect(() => { localStorage.setItem(VIEW, JSON.stringify(view)); }, [view]);
  const { box, live, status, follow } = useLines(p, query, view);
  const { grep, only, stream } = choice(query);
  const find = useSearch(p, grep, live, { leave: () => follow(false) });
  useCommands([
    { id: 'log.follow', title: t.log.follow, keys: 'f', run: () => follow(!status.following) },
    { id: 'log.end', title: t.log.end, keys: 'G', run: () => follow(true) },
  ]);
  const refused = status.error?.status >= 400 && status.error.status < 500;
  return html`
    <${Toolbar} p=${p} query=${query} view=${view} setView=${setView} find=${find} />
    ${refused && html`<${Failure} error=${status.error} />`}
    <div class=${`log fill ${view.wrap ? 'wrap' : ''} ${view.times ? 'times' : ''}`} hidden=${refused} ref=${box} role="log" aria-live="off" aria-label=${t.log.title} tabindex="0"></div>
    ${status.ended && status.length === 0 && html`<p class="state">${(only && grep) || stream ? t.common.noMatch : t.log.none}</p>`}
    <${Footer} p=${p} status=${status} follow=${follow} filtered=${(only && grep) || stream} />`;
}
