// What a queue holds: its depth over time while this is shown, and its messages, looked at without taking them.
import { html, useEffect, useState } from '../lib/html.js';
import { get } from '../lib/api.js';
import { bytes, count, visible } from '../lib/format.js';
import { t } from '../lib/words.js';
import { CopyBox, Facts, Pill, Time } from '../ui/basics.js';
import { Chart } from '../ui/chart.js';
import { attempt, open } from '../ui/overlay.js';
import { Ended, Owner, Peek, col } from '../ui/object_parts.js';

const c = t.coordination;
const TONES = { ready: 'good', delayed: 'soft', leased: 'warn', buried: 'bad' };
const SAMPLES = 900;

const bodyText = ({ body, body_base64: raw }) => typeof body === 'string' ? body : body === undefined ? raw ?? null
  : JSON.stringify(body);
const whole = ({ body, body_base64: raw }) => typeof body === 'string' || body === undefined
  ? body ?? raw : JSON.stringify(body, null, 2);

function openMessage(queue, { id }) {
  return attempt(async () => {
    const m = await get(`/v1/queues/${queue}/messages/${id}`);
    open(c.message, () => html`
      <${Facts} rows=${[[c.columns.id, html`<code>${m.id}</code>`, 'wide'], [c.columns.state, c.messageStates[m.state]],
        [c.columns.priority, m.priority], [c.columns.contentType, m.content_type],
        [c.columns.size, bytes(m.size_bytes)], [c.columns.enqueued, html`<${Time} at=${m.enqueued_at} />`],
          [c.columns.readyAt, m.ready_at && html`<${Time} at=${m.ready_at} />`],
        [c.columns.owner, m.state === 'leased' && html`<${Owner} id=${m.owner} />`],
          [c.columns.reason, m.reason && visible(m.reason), 'wide']].filter(([, value]) => value !== false)} />
      ${m.attempts.length > 0 && html`<ol
        class="changes">${m.attempts.map((one) => html`<li key=${one.number}>${one.ended ? html`<${Ended} end=${one}
          />` : html`<span>${c.goesOn} <${Owner} id=${one.owner} /></span>`}</li>`)}</ol>`}
      <${CopyBox} label=${c.fields.body} text=${whole(m)} />`, { wide: true });
  });
}

const columns = (queue) => [
  { key: 'body', title: c.fields.body, class: 'mono', cell: (m) => html`<button type="button" class="link"
    onClick=${() => openMessage(queue, m)}>${visible((bodyText(m) ?? c.omitted).slice(0, 300)) || c.emptyBody}</button>` },
  col('state', 'c-time', (m) => html`<${Pill} tone=${TONES[m.state]}>${c.messageStates[m.state]}<//>`),
  col('priority', 'number c-n', (m) => m.priority),
  col('attempt', 'number c-n', (m) => m.attempt),
  col('size', 'number c-n', (m) => bytes(m.size_bytes)),
  col('enqueued', 'number c-time wide-only', (m) => html`<${Time} at=${m.enqueued_at} />`),
];

function Depth({ one }) {
  const [data, setData] = useState([[], [], [], []]);
  useEffect(() => {
    const now = [Date.now() / 1000, one.ready, one.leased, one.buried];
    setData((held) => held.map((column, i) => [...column, now[i]].slice(-SAMPLES)));
  }, [one]);
  const series = [['ready', '--accent'], ['leased', '--warn'], ['buried', '--bad']].map(([key, tone]) =>
    ({ label: c.messageStates[key], tone }));
  return html`<section class="stack"><h2>${c.depth}</h2><${Chart} data=${data} series=${series} format=${count}
    label=${`${c.depth}: ${series.map(({ label }, i) => `${label} ${data[i + 1].at(-1) ?? 0}`).join(', ')}`} /></section>`;
}

export const Messages = ({ one, query: { state } }) => html`<${Depth} one=${one} />
  <${Peek} path=${`/v1/queues/${encodeURIComponent(one.name)}/messages`} one=${one} title=${c.messages} none=${c.noMessages}
    names=${c.messageStates} state=${state} columns=${columns(one.name)} />`;
