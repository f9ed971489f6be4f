// What a queue holds: its depth over time while this is shown, and its messages, looked at without taking them.
import { html, useEffect, useState } from '../lib/html.js';
import { get } from '../lib/api.js';
import { bytes, count, visible } from '../lib/format.js';
import { useLive } from '../lib/live.js';
import { refine } from '../lib/router.js';
import { t } from '../lib/words.js';
import { Rows, Segments } from '../ui/acts.js';
import { Button, CopyBox, Facts, Failure, Pill, Time } from '../ui/basics.js';
import { Chart } from '../ui/chart.js';
import { attempt, open } from '../ui/overlay.js';
import { Ended, Owner } from '../ui/object_parts.js';

const c = t.coordination;
const TONES = { ready: 'good', delayed: 'soft', leased: 'warn', buried: 'bad' };
const SHOWN = 50;
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
  { key: 'state', title: c.columns.state, class: 'c-time', cell: (m) => html`<${Pill}
    tone=${TONES[m.state]}>${c.messageStates[m.state]}<//>` },
  { key: 'priority', title: c.columns.priority, class: 'number c-n', cell: (m) => m.priority },
  { key: 'attempt', title: c.columns.attempt, class: 'number c-n', cell: (m) => m.attempt },
  { key: 'size', title: c.columns.size, class: 'number c-n', cell: (m) => bytes(m.size_bytes) },
  { key: 'enqueued', title: c.columns.enqueued, class: 'number c-time wide-only', cell: (m) => html`<${Time}
    at=${m.enqueued_at} />` },
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

export function Messages({ one, query }) {
  const { state = '' } = query;
  const path = `/v1/queues/${encodeURIComponent(one.name)}/messages`;
  const [limit, setLimit] = useState(SHOWN);
  const [page, error, again] = useLive(`${path} ${state} ${limit}`, (signal) => get(path, { state, limit }, signal),
    { every: null });
  useEffect(() => { again(); }, [one]);
  return html`<${Depth} one=${one} />
    <section class="stack"><div class="row"><h2>${c.messages}</h2><${Segments} label=${c.columns.state} names=${c.messageStates} current=${state} onPick=${(key) => refine({ state: key })} /></div>
      ${error ? html`<${Failure} error=${error} />` : page?.items.length === 0 ? html`<p class="soft">${c.noMessages}</p>`
        : page && html`<${Rows} label=${c.messages} columns=${columns(one.name)} rows=${page.items} />`}
      ${page?.next_page_token && limit < 500 && html`<div><${Button} kind="quiet"
        onClick=${() => setLimit(500)}>${c.moreMessages}<//></div>`}</section>`;
}
