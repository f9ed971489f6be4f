// One process: what it is and does at the head, below it one of its tabs.
import { html, useEffect, useState } from '../lib/html.js';
import { get } from '../lib/api.js';
import { useSignal } from '../lib/signal.js';
import { connection, learn, processes, version } from '../lib/store.js';
import { commandLine, visible } from '../lib/format.js';
import { t } from '../lib/words.js';
import { Age, Failure, Link, Loading, Tabs } from '../ui/basics.js';
import { Labels, State } from '../ui/process_parts.js';
import { Actions } from './process_actions.js';
import { Changes, Overview, Spec, Stats } from './process_tabs.js';
import { Log } from './process_log.js';

const TABS = { log: Log, overview: Overview, stats: Stats, changes: Changes, spec: Spec };

/** The record: from the store, which hears of changes; asked for once, because the store may not know it (yet). */
function useRecord(id) {
  useSignal(version);
  const { state } = useSignal(connection);
  const [error, setError] = useState(null);
  useEffect(() => {
    const asking = new AbortController();
    const refused = (problem) => { if (!asking.signal.aborted) setError(problem); };
    get(`/v1/processes/${id}`, {}, asking.signal).then((record) => { learn(record); setError(null); }, refused);
    return () => asking.abort();
  }, [id, state === 'live']);
  return [processes.get(id), error];
}

export function Process({ id, query }) {
  const [p, error] = useRecord(id);
  if (!p) return html`<h1 tabindex="-1">${t.process.title}</h1>${error ? html`<${Failure} error=${error} />` : html`<${Loading} />`}`;
  const tab = TABS[query.tab] ? query.tab : 'log';
  const View = TABS[tab];
  return html`
    <div class="head">
      <h1 tabindex="-1"><${Link} path=${['processes']} class="soft crumb">${t.app.processes}<//> ${visible(p.name)}</h1>
      <${Actions} p=${p} />
    </div>
    <p class="row sub"><${State} p=${p} />
      ${p.alive && html`<span class="soft"><${Age} at=${p.started_at} /></span><span class="soft">${t.processes.pid} ${p.pid}</span>`}
      <${Labels} p=${p} /><span class="mono soft line-clip"
          title=${visible(commandLine(p.argv))}>${visible(commandLine(p.argv))}</span></p>
    <${Tabs} label=${t.process.tabs} current=${tab} path=${['processes', id]}
        tabs=${Object.keys(TABS).map((key) => ({ key, title: t.process.tab[key] }))} />
    <${View} p=${p} query=${query} />`;
}
