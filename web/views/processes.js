// All processes: a table that is live, filtered and sorted by what the address says, with actions on what is selected.
import { html, useMemo, useState } from '../lib/html.js';
import { useSignal } from '../lib/signal.js';
import { go, refine } from '../lib/router.js';
import { loaded, processes, version } from '../lib/store.js';
import { commandLine, visible } from '../lib/format.js';
import { t, ending } from '../lib/words.js';
import { Age, Empty, Link, Loading } from '../ui/basics.js';
import { Table, RowCount, sorted } from '../ui/table.js';

const columns = [
  { key: 'name', title: 'Name', sort: (p) => p.name, cell: (p) => html`<${Link} path=${['processes', p.id]}>${visible(p.name)}<//>` },
  { key: 'state', title: 'State', sort: (p) => p.state, cell: (p) => p.state },
  { key: 'command', title: 'Command', class: 'mono', cell: (p) => visible(commandLine(p.argv)) },
  { key: 'time', title: 'Time', sort: (p) => p.started_at, cell: (p) => p.alive ? html`<${Age} at=${p.started_at} />` : ending(p) },
];

export function Processes({ query }) {
  const seen = useSignal(version);
  const ready = useSignal(loaded);
  const [selected, setSelected] = useState(new Set());
  const rows = useMemo(() => sorted([...processes.values()], columns, query.sort ?? '-time'), [seen, query.sort]);
  if (!ready) return html`<${Loading} />`;
  return html`
    <div class="head"><h1 tabindex="-1">${t.app.processes}</h1><${RowCount} shown=${rows.length} all=${processes.size} /></div>
    <div class="fill"><${Table} label=${t.app.processes} columns=${columns} rows=${rows} sort=${query.sort ?? '-time'} onSort=${(sort) => refine({ sort })}
      onOpen=${(p) => go(['processes', p.id])} selected=${selected} onSelect=${setSelected} /></div>`;
}
