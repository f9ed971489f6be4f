// What a pool does: its workers, its tasks with what became of them, and its batches.
import { html, useEffect, useState } from '../lib/html.js';
import { bytes } from '../lib/api.js';
import { visible } from '../lib/format.js';
import { t } from '../lib/words.js';
import { Rows } from '../ui/acts.js';
import { Age, CopyBox, Facts, Pill, Time } from '../ui/basics.js';
import { open } from '../ui/overlay.js';
import { Owner, Peek, col, short } from '../ui/object_parts.js';

const c = t.coordination;
const TONES = { queued: 'soft', running: 'warn', done: 'good', failed: 'bad', buried: 'bad', cancelled: 'soft' };

const resultOf = (task, indent) => task.result === null || task.result === undefined ? task.result_text ?? task.result_base64
  : JSON.stringify(task.result, null, indent);

/** What its process wrote last, on either stream. */
function LastOutput({ id }) {
  const [text, setText] = useState(null);
  useEffect(() => {
    bytes(`/v1/processes/${id}/logs`, { tail: 20 }).then((blob) => blob.text()).then(setText,
      (error) => setText(error.message));
  }, [id]);
  return text && html`<h3>${c.lastOutput}</h3><${CopyBox} label=${c.lastOutput} text=${text} />`;
}

const openTask = (task) => open(c.task, () => html`
  <${Facts} rows=${[[c.columns.id, html`<code>${task.id}</code>`, 'wide'], [c.columns.state, c.taskStates[task.state]],
    [c.columns.exitcode, task.exitcode],
    [c.columns.process, task.process && html`<${Owner} id=${task.process} />`],
      [c.columns.submitted, html`<${Time} at=${task.submitted_at} />`],
    [c.columns.finished, task.finished_at && html`<${Time} at=${task.finished_at} />`],
      [c.columns.error, task.error && task.error.detail, 'wide']]} />
  ${task.attempts.length > 1 && html`<ol
    class="changes">${task.attempts.map((one) => html`<li key=${one.number}><span>${c.attemptN(one.number)}</span>
    <span>${one.error?.detail ?? c.taskStates.done}${one.exitcode !== null
      && ` (${c.exitcode(one.exitcode)})`}</span></li>`)}</ol>`}
  ${resultOf(task) && html`<h3>${c.result}</h3><${CopyBox} label=${c.result} text=${resultOf(task, 2)} />`}
  ${task.error && task.process && html`<${LastOutput} id=${task.process} />`}`, { wide: true });

const workerColumns = [
  col('process', '', (w) => Owner({ id: w.process })),
  col('state', 'c-state', (w) => html`<${Pill} tone=${w.state === 'busy' ? 'good' : 'soft'}>${c.workerStates[w.state]}<//>`),
  { key: 'pid', title: t.processes.pid, class: 'number c-n', cell: (w) => w.pid },
  { key: 'task', title: c.task, class: 'wide-only', cell: (w) => w.task && short(w.task) },
  col('served', 'number c-n', (w) => w.served),
];

const taskColumns = [
  { key: 'id', title: c.task, cell: (task) => html`<button type="button" class="link"
    onClick=${() => openTask(task)}>${short(task.id)} <span class="mono">${visible((task.error?.detail ?? resultOf(task) ?? '').slice(0, 200))}</span></button>` },
  col('state', 'c-time', (task) => html`<${Pill} tone=${TONES[task.state]}>${c.taskStates[task.state]}<//>`),
  col('exitcode', 'number c-n', (task) => task.exitcode ?? ''),
  col('attempt', 'number c-n', (task) => task.attempts.length),
  col('process', 'wide-only', (task) => task.process && Owner({ id: task.process })),
  col('submitted', 'number c-time wide-only', (task) => html`<${Time} at=${task.submitted_at} />`),
];

const batchColumns = [
  { key: 'id', title: c.batch, cell: (batch) => short(batch.id) },
  col('state', 'c-state', (batch) => html`<${Pill}
    tone=${batch.failed ? 'bad' : batch.complete ? 'good' : 'warn'}>${batch.complete ? c.taskStates.done
      : c.batchOf(batch.total - batch.unfinished, batch.total)}<//>`),
  ...['total', 'done', 'failed'].map((key) => ({ key, title: c.columns[key], class: 'number c-n',
    cell: (batch) => batch[key] })),
  col('since', 'number c-time wide-only', (batch) => html`<${Age} at=${batch.submitted_at} />`),
];

export function Work({ one, query: { state } }) {
  const path = `/v1/pools/${encodeURIComponent(one.name)}`;
  return html`
    ${one.workers.length > 0 && html`<section class="stack"><h2>${c.workers}</h2><${Rows} label=${c.workers}
      columns=${workerColumns} rows=${one.workers} keyOf=${(w) => w.process} /></section>`}
    <${Peek} path=${`${path}/tasks`} one=${one} title=${c.tasks} none=${c.noTasks} names=${c.taskStates} state=${state}
      columns=${taskColumns} />
    <${Peek} path=${`${path}/batches`} one=${one} title=${c.batches} columns=${batchColumns} />`;
}
