// The tabs of a process beside its log: overview with its tree, stats, changes, and what it was made of.
import { html, useEffect, useState } from '../lib/html.js';
import { get } from '../lib/api.js';
import { bytes, commandLine, curl, duration, percent, visible } from '../lib/format.js';
import { specOf } from '../lib/spec.js';
import { useSignal } from '../lib/signal.js';
import { learn, processes, version } from '../lib/store.js';
import { ending, t } from '../lib/words.js';
import { CopyBox, Empty, Facts, Failure, Link, Loading, Time } from '../ui/basics.js';
import { Chart } from '../ui/chart.js';

/** Asks again every so often while shown and in sight: [answer, error]. */
function usePolled(path, query, milliseconds, take = () => {}) {
  const [got, setGot] = useState([null, null]);
  useEffect(() => {
    const asking = new AbortController();
    const ask = () => {
      if (document.hidden) return;
      const refused = (error) => { if (!asking.signal.aborted) setGot([null, error]); };
      get(path, query, asking.signal).then((answer) => { take(answer); setGot([answer, null]); }, refused);
    };
    ask();
    const timer = setInterval(ask, milliseconds);
    return () => { asking.abort(); clearInterval(timer); };
  }, [path, milliseconds]);
  return got;
}

function parentOf(p) {
  if (!p.parent) return t.process.daemon;
  if (!p.parent.startsWith('p_')) return p.parent;
  return html`<${Link} path=${['processes', p.parent]}>${visible(processes.get(p.parent)?.name ?? p.parent)}<//>`;
}

function outputOf({ output, alive }) {
  const { stdout_bytes: out, stderr_bytes: err, dropped_bytes: dropped } = output;
  return t.process.output(bytes(out), bytes(err), dropped > 0 && bytes(dropped), output.open && !alive);
}

/** Terms and values; false and null are left out. */
function facts(p) {
  const { usage, argv, cwd } = p;
  const f = t.process.facts;
  const used = usage?.cpu_user_seconds ?? null;
  return [
    [f.command, html`<code>${visible(commandLine(argv))}</code>`, 'wide'],
    [f.cwd, html`<code>${visible(cwd ?? '')}</code>`],
    [f.id, html`<code>${p.id}</code>`],
    [f.parent, parentOf(p)],
    [f.pid, p.pid],
    [f.end, ending(p)],
    [f.created, html`<${Time} at=${p.created_at} />`],
    [f.started, html`<${Time} at=${p.started_at} />`],
    [f.exited, p.exited_at && html`<${Time} at=${p.exited_at} />`],
    [f.cpu, used !== null && `${(used + usage.cpu_system_seconds).toFixed(2)} s`],
    [f.memory, used !== null && bytes(usage.max_rss_bytes)],
    [f.output, outputOf(p)],
    [f.env, p.env_keys.join(', ')],
    [f.sandbox, p.sandbox && [...p.sandbox.applied, ...p.sandbox.missing.map(t.process.layerMissing)].join(', ')],
    [f.flag, p.daemon && t.process.isDaemon],
    [f.left, !p.alive && p.descendants > 0 && t.process.leftBehind(p.descendants)],
  ];
}

function Tree({ p }) {
  const [tree, error] = usePolled(`/v1/processes/${p.id}/tree`, {}, 3000);
  if (error) return html`<${Failure} error=${error} />`;
  if (!tree || tree.items.length === 0) return null;
  const total = tree.items.reduce((sum, one) => sum + one.rss_bytes, 0);
  return html`<section class="stack">
    <h2>${t.process.tree} <span class="soft">${t.process.treeSum(tree.items.length, bytes(total))}</span></h2>
    <div class="table-box closed" tabindex="0" role="region" aria-label=${t.process.tree}><table class="list" aria-label=${t.process.tree}>
      <thead><tr>${['program', 'pid', 'cpu', 'memory'].map((key) => html`<th scope="col" key=${key}
          class=${key === 'program' ? 'mono' : 'number c-figure'}>${t.process.treeColumns[key]}</th>`)}</tr></thead>
      <tbody>${tree.items.map((one) => html`<tr key=${one.pid}>
        <td class="mono"><span style=${{ paddingLeft: `${one.depth * 18}px` }}
            title=${visible(commandLine(one.argv))}>${visible(one.argv.length > 0 ? commandLine(one.argv) : one.name)}</span></td>
        <td class="number">${one.pid}</td>
        <td class="number">${duration(one.cpu_seconds)}</td>
        <td class="number">${bytes(one.rss_bytes)}</td></tr>`)}</tbody>
    </table></div></section>`;
}

/** Output grows without a change being told: the record is asked for again while this is shown. */
export function Overview({ p }) {
  useSignal(version);
  usePolled(`/v1/processes/${p.id}`, {}, 5000, learn);
  return html`<div class="page"><div class="panel"><${Facts} rows=${facts(p)} /></div><${Tree} p=${p} /></div>`;
}

const SAMPLES = 600;

/** Adds an answer to the samples: seconds, share of a core, memory, threads, descriptors. */
function sample(columns, now, before) {
  const at = Date.parse(now.at) / 1000;
  const seconds = before && at - Date.parse(before.at) / 1000;
  const cpu = seconds > 0 ? Math.max(0, (now.tree_cpu_seconds - before.tree_cpu_seconds) / seconds) : null;
  return columns.map((column, i) => [...column, [at, cpu, now.tree_rss_bytes, now.threads, now.fds][i]].slice(-SAMPLES));
}

export function Stats({ p }) {
  const [{ columns, now }, setSamples] = useState({ columns: [[], [], [], [], []], now: null });
  const take = (next) => setSamples((held) => ({ columns: sample(held.columns, next, held.now), now: next }));
  const [, error] = usePolled(`/v1/processes/${p.id}/stats`, {}, 2000, take);
  if (!p.alive) return html`<${Empty} title=${t.process.noStats}><p>${t.process.noStatsHint}</p><//>`;
  if (error) return html`<${Failure} error=${error} />`;
  if (!now) return html`<${Loading} />`;
  const [at, cpu, rss, threads, fds] = columns;
  const s = t.process.stats;
  return html`<div class="page charts">
    <section><h2>${s.cpu}</h2><${Chart} data=${[at, cpu]} series=${[{ label: s.cpu, tone: '--accent' }]} format=${percent}
        floor=${0.05} label=${`${s.cpu}: ${percent(cpu.at(-1) ?? 0)}`} /></section>
    <section><h2>${s.memory}</h2><${Chart} data=${[at, rss]} series=${[{ label: s.memory, tone: '--accent' }]} format=${bytes}
        label=${`${s.memory}: ${bytes(rss.at(-1))}`} /></section>
    <section><h2>${s.handles}</h2><${Chart} data=${[at, threads, fds]}
        series=${[{ label: s.threads, tone: '--accent' }, { label: s.fds, tone: '--warn' }]} format=${String} floor=${4}
        label=${`${s.threads}: ${threads.at(-1)}, ${s.fds}: ${fds.at(-1)}`} /></section>
  </div>`;
}

/** What happened to it, oldest first. */
export function Changes({ p }) {
  const [items, setItems] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    get('/v1/changes', { ref: p.id, limit: 500 }).then((page) => setItems(page.items), setError);
  }, [p.id, p.revision]);
  if (error) return html`<${Failure} error=${error} />`;
  if (!items) return html`<${Loading} />`;
  if (items.length === 0) return html`<${Empty} title=${t.process.noChanges} />`;
  return html`<ol class="changes page">${items.map((one) => html`<li key=${one.seq}><${Time} at=${one.at} millis />
    <span>${t.changes[one.type] ?? one.type}${one.data?.exit && `: ${ending({ ...p, ...one.data })}`}</span></li>`)}</ol>`;
}

export function Spec({ p }) {
  const spec = specOf(p);
  return html`<div class="page">
    <p class="soft">${t.process.specHint}${p.env_keys.length > 0 ? ` ${t.process.specEnv(p.env_keys.join(', '))}` : ''}</p>
    <h2>${t.process.specJson}</h2><${CopyBox} text=${JSON.stringify(spec, null, 2)} label=${t.process.specJson} />
    <h2>${t.process.specCurl}</h2><${CopyBox} text=${curl('POST', '/v1/processes', spec)} label=${t.process.specCurl} />
    <h2>${t.process.record}</h2><${CopyBox} text=${JSON.stringify(p, null, 2)} label=${t.process.record} />
  </div>`;
}
