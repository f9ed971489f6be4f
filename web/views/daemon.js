// The daemon: how it is, and its log, changes, audit, tokens and API, each a tab.
import { html } from '../lib/html.js';
import { bytes as fetchBytes, get, post } from '../lib/api.js';
import { bytes, count, duration } from '../lib/format.js';
import { useLive } from '../lib/live.js';
import { t } from '../lib/words.js';
import { Acts, askFields, Rows, sure } from '../ui/acts.js';
import { Age, Facts, Failure, Loading, Pill, Tabs, Time } from '../ui/basics.js';
import { attempt } from '../ui/overlay.js';
import { Audit, Changes, Log } from './daemon_feeds.js';
import { Tokens } from './daemon_tokens.js';
import { Api } from './daemon_api.js';

const w = t.daemon;
const f = w.facts;
const TABS = { overview: Overview, log: Log, changes: Changes, audit: Audit, tokens: Tokens, api: Api };

/** The figures of /metrics: 'name{labels}' → number, and name → the sum over its labels. */
function figures(text) {
  const found = {};
  for (const [, name, labels = '', value] of text.matchAll(/^([a-z_]+)(\{.*\})? (\S+)$/gm)) {
    found[name + labels] = Number(value);
    if (labels) found[name] = (found[name] ?? 0) + Number(value);
  }
  return found;
}

const says = (path) => get(path).then(() => true, (error) => { if (error.status === 503) return false; throw error; });

async function look(signal) {
  const [system, capabilities, alive, ready, metrics] = await Promise.all([get('/v1/system', {}, signal),
    get('/v1/capabilities', {}, signal), says('/healthz'), says('/readyz'),
    fetchBytes('/metrics', {}, 'text/plain', signal).then((blob) => blob.text())]);
  return { system, capabilities, alive, ready, use: figures(metrics) };
}

/** What there is now of what a limit is for. */
const USED = {
  max_processes: ({ system }) => Object.values(system.processes).reduce((sum, n) => sum + n, 0), max_sessions: ({ use }) =>
    use.forkful_sessions,
  max_objects: ({ use }) => use.forkful_objects, max_holds: ({ use }) => use.forkful_holds, http_connections: ({ use }) =>
    use.forkful_http_connections,
  retention_logs_total_bytes: ({ use }) => use.forkful_log_stored_bytes,
    retention_ended_count: ({ system: { processes: p } }) => p.exited + p.failed + p.lost,
};

const amount = (name, value) => value === null ? w.noLimit : /bytes$/.test(name) ? bytes(value) : /seconds$/.test(name)
  ? duration(value) : count(value);

const limitColumns = [
  { key: 'name', title: w.limitColumns.name, cell: ({ name }) => html`<code>${name}</code>` },
  { key: 'used', title: w.limitColumns.used, class: 'number c-time', cell: ({ name, used }) => used === undefined ? ''
    : amount(name, used) },
  { key: 'limit', title: w.limitColumns.limit, class: 'number c-time', cell: ({ name, limit }) => amount(name, limit) },
];

function facts({ system: s, capabilities, use }) {
  const features = Object.entries(s.kernel).filter(([, on]) => on === true).map(([name]) => name);
  return [
    [f.version, s.version], [f.uptime, html`<${Age} at=${s.started_at} />`], [f.started, html`<${Time} at=${s.started_at} />`],
      [f.keeper, w.pid(s.keeper_pid)], [f.server, w.pid(s.server_pid)], [f.restarts, s.server_restarts || null],
    [f.rss, bytes(use.forkful_server_resident_memory_bytes)], [f.cpu, `${use.forkful_server_cpu_seconds_total?.toFixed(1)} s`],
    [f.cpus, w.cpus(s.cpu_usable, s.cpu_count)],
      [f.memory, w.free(bytes(s.memory.available_bytes), bytes(s.memory.total_bytes))],
    [f.listeners, s.listeners.map((one) => html`<code key=${one}>${one}</code> `), 'wide'],
      [f.state, html`<code>${s.state_dir}</code>`, 'wide'],
    [f.kernel, `${s.kernel.release}: ${features.join(', ')}`, 'wide'], [f.executor, capabilities.executor],
      [f.features, capabilities.items.join(', '), 'wide'], [f.missing, capabilities.not_supported.join(', '), 'wide'],
  ];
}

async function shutdown() {
  const answer = await askFields({ title: w.shutdownAsk, text: w.shutdownText, action: w.shutdownDo, danger: true,
    fields: [{ key: 'wait_seconds', label: w.shutdownWait, number: true, min: 0, value: 10, required: true }] });
  if (answer) await attempt(() => post('/v1/shutdown', answer), w.shutDown);
}

const upgrade = () => sure({ title: w.upgradeAsk, text: w.upgradeText, action: w.upgradeDo, danger: false },
  () => post('/v1/upgrade'), w.upgraded);

function Overview() {
  const [seen, error] = useLive('daemon', look);
  if (error) return html`<${Failure} error=${error} />`;
  if (!seen) return html`<${Loading} />`;
  const { system, alive, ready } = seen;
  const rows = Object.entries(system.limits).map(([name, limit]) => ({ name, limit, used: USED[name]?.(seen) }));
  return html`<div class="page">
    <p class="row sub"><${Pill} tone=${system.health === 'ok' ? 'good'
      : 'bad'}>${w.health[system.health]}<//><${Pill} tone=${alive ? 'good' : 'bad'}>${alive ? w.alive : w.notAlive}<//>
      <${Pill} tone=${ready ? 'good' : 'bad'}>${ready ? w.ready : w.notReady}<//></p>
    <div class="panel"><${Facts} rows=${facts(seen)} /></div>
    <section class="stack"><h2>${w.limits}</h2><${Rows} label=${w.limits} columns=${limitColumns} rows=${rows} keyOf=${({ name }) => name} /></section>
  </div>`;
}

export function Daemon({ query }) {
  const tab = TABS[query.tab] ? query.tab : 'overview';
  const View = TABS[tab];
  return html`<div class="head"><h1 tabindex="-1">${t.app.daemon}</h1>
      <${Acts} acts=${[{ key: 'upgrade', title: w.upgrade, scope: 'admin', run: upgrade },
        { key: 'shutdown', title: w.shutdown, scope: 'admin', kind: 'danger', run: shutdown }]} /></div>
    <${Tabs} label=${w.tabsLabel} current=${tab} path=${['daemon']} tabs=${Object.keys(TABS).map((key) =>
      ({ key, title: w.tabs[key] }))} />
    <${View} query=${query} />`;
}
