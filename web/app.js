// The page: the door (token), the table of processes kept current by the change feed, details, and the spawn form.
// Everything that comes from outside is put into the page as text, never as markup.
import { takeToken, keepToken, forgetToken, get, post, follow } from './api.js';
import { openLog, closeLog, pauseLog } from './log.js';
import * as words from './words.js';

const ROWS = 500;
const $ = (id) => document.getElementById(id);
const records = new Map(); // id → the newest record seen
const rows = new Map(); // id → its table row
const changed = new Set(); // ids whose row is out of date
let chosen = null, feed = null, lastSeq = null, heardAt = null;

/* The door */

function showDoor(reason) {
  feed?.abort();
  choose(null);
  forgetRecords();
  $('door').hidden = false;
  $('house').hidden = $('forget').hidden = $('banner').hidden = true;
  $('summary').textContent = $('link').textContent = '';
  $('refused').textContent = reason;
  $('token').focus();
}

function enter() {
  $('door').hidden = true;
  $('house').hidden = $('forget').hidden = false;
  watch();
}

$('door').addEventListener('submit', (event) => {
  event.preventDefault();
  keepToken($('token').value.trim());
  $('token').value = '';
  enter();
});
$('forget').addEventListener('click', () => { forgetToken(); showDoor(''); });

/* The feed */

function forgetRecords() {
  for (const row of rows.values()) row.remove();
  records.clear(), rows.clear(), changed.clear();
  lastSeq = null;
}

// The list and the feed overlap; the larger revision is the newer record, whichever way it came.
function learn(record) {
  const known = records.get(record.id);
  if (known && known.revision > record.revision) return;
  records.set(record.id, record);
  if (!changed.size) requestAnimationFrame(draw);
  changed.add(record.id);
}

function take(change) {
  heardAt = new Date();
  if (change.type === 'reset') {
    forgetRecords();
    throw new Error('The daemon no longer has the changes in between.');
  }
  if (change.seq !== null) lastSeq = Math.max(lastSeq ?? 0, change.seq);
  const id = change.data?.id ?? change.ref;
  if (!id?.startsWith('p_')) return;
  if (change.type === 'process.deleted' || !change.data) drop(id), draw();
  else if (change.data.argv) learn(change.data);
}

async function feedPath() {
  if (lastSeq !== null) return `/v1/changes?follow=true&after=${lastSeq}`;
  const page = await get(`/v1/processes?order=-created_at&limit=${ROWS}`);
  page.items.forEach(learn);
  return '/v1/changes?snapshot=true&follow=true';
}

function watch() {
  feed = new AbortController();
  $('link').textContent = 'connecting';
  follow({
    path: feedPath,
    item: take,
    opened: () => { heardAt = new Date(); link(true); draw(); },
    broken: (error, seconds) => link(false, seconds),
    refused: (error) => showDoor(error.status === 401 ? 'The daemon does not accept this token.' : error.message),
    signal: feed.signal,
  });
}

function link(live, seconds) {
  $('link').textContent = live ? 'live' : 'disconnected';
  $('link').classList.toggle('live', live);
  $('banner').hidden = live;
  if (live) return;
  const since = heardAt ? `What you see is how it was at ${heardAt.toLocaleTimeString()}. ` : '';
  $('banner').textContent = `No connection to the daemon. ${since}Trying again in ${Math.ceil(seconds)} s.`;
}

/* The table */

function makeRow(id) {
  const row = document.createElement('tr');
  for (let i = 0; i < 6; i++) row.insertCell();
  row.cells[1].append(document.createElement('button'));
  row.cells[3].className = 'mono';
  row.cells[5].className = 'number';
  row.addEventListener('click', () => choose(id));
  // Ids begin with the time they were made at: the newest comes first.
  const older = [...$('rows').children].find((other) => other.dataset.id < id);
  row.dataset.id = id;
  $('rows').insertBefore(row, older ?? null);
  rows.set(id, row);
  return row;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function drawRow(id) {
  const p = records.get(id);
  const [state, name, pid, command, time, output] = (rows.get(id) ?? makeRow(id)).cells;
  put(state, p.state);
  state.className = p.state;
  put(name.firstChild, p.name);
  put(pid, p.alive ? String(p.pid) : '–');
  put(command, words.command(p));
  command.title = words.command(p);
  put(time, words.age(p));
  time.className = words.wentWrong(p) ? 'bad' : '';
  put(output, words.bytes(words.output(p)));
}

function drop(id) {
  if (chosen === id) choose(null);
  rows.get(id)?.remove();
  records.delete(id), rows.delete(id), changed.delete(id);
}

// The table has an end: the oldest records that no longer live leave it first.
function prune() {
  if (records.size <= ROWS) return;
  const ended = [...records.values()].filter((p) => !p.alive && p.id !== chosen).sort((a, b) => a.id < b.id ? -1 : 1);
  for (const p of ended.slice(0, records.size - ROWS)) drop(p.id);
}

function draw() {
  for (const id of changed) drawRow(id);
  if (changed.has(chosen)) drawDetail();
  changed.clear();
  prune();
  const live = [...records.values()].filter((p) => p.alive).length;
  put($('summary'), records.size ? `${live} of ${records.size} live` : '');
  $('table').hidden = !records.size;
  $('empty').hidden = records.size > 0;
}

setInterval(() => {
  for (const [id, p] of records) if (p.alive && rows.has(id)) put(rows.get(id).cells[4], words.age(p));
}, 1000);

/* One process */

function facts(p) {
  const cpu = (p.usage?.cpu_user_seconds ?? 0) + (p.usage?.cpu_system_seconds ?? 0);
  return {
    State: [p.state, p.paused && 'paused', words.ending(p)].filter(Boolean).join(': '), Command: words.command(p), Directory: p.cwd, Id: p.id,
    PID: p.alive ? p.pid : null, Parent: p.parent,
    Started: words.moment(p.started_at), Ended: words.moment(p.exited_at),
    Used: p.usage && !p.alive ? `${cpu.toFixed(2)} s CPU, ${words.bytes(p.usage.max_rss_bytes ?? 0)} memory` : null,
    Output: `${words.bytes(p.output.stdout_bytes)} stdout, ${words.bytes(p.output.stderr_bytes)} stderr`
      + (p.output.dropped_bytes ? `, ${words.bytes(p.output.dropped_bytes)} dropped` : ''),
    Labels: Object.entries(p.labels ?? {}).map(([k, v]) => `${k}=${v}`).join(' '),
  };
}

function drawDetail() {
  const p = records.get(chosen);
  put($('detail-title'), p.name);
  $('stop').disabled = !p.alive;
  $('facts').replaceChildren(...Object.entries(facts(p)).filter(([, value]) => value).flatMap(([key, value]) => {
    const [dt, dd] = [document.createElement('dt'), document.createElement('dd')];
    dt.textContent = key;
    dd.textContent = value;
    return [dt, dd];
  }));
}

function choose(id) {
  rows.get(chosen)?.removeAttribute('aria-current');
  chosen = id;
  $('detail').hidden = !id;
  $('stop-error').textContent = '';
  if (!id) return closeLog();
  rows.get(id).setAttribute('aria-current', 'true');
  drawDetail();
  openLog(id);
  $('detail-title').focus();
}

$('close').addEventListener('click', () => {
  const button = rows.get(chosen)?.querySelector('button');
  choose(null);
  button?.focus();
});
$('pause').addEventListener('click', () => pauseLog($('pause').getAttribute('aria-pressed') === 'false'));
$('stop').addEventListener('click', async () => {
  $('stop-error').textContent = '';
  try {
    await post(`/v1/processes/${chosen}/stop`, {});
  } catch (error) {
    $('stop-error').textContent = error.message;
  }
});

/* Starting one */

function spawnBody() {
  const line = $('command').value;
  const body = $('shell').checked ? { shell: line } : { argv: words.splitWords(line) };
  if ($('name').value) body.name = $('name').value;
  return body;
}

function preview() {
  $('spawn-error').textContent = '';
  try {
    $('argv').textContent = $('command').value ? JSON.stringify(spawnBody()) : '';
  } catch (error) {
    $('argv').textContent = error.message;
  }
}
for (const id of ['command', 'shell', 'name']) $(id).addEventListener('input', preview);

// The same form sent twice because the first answer got lost must not start two processes.
let sent = { body: '', key: '' };
function idempotencyKey(body) {
  const text = JSON.stringify(body);
  if (sent.body !== text) sent = { body: text, key: crypto.getRandomValues(new Uint32Array(4)).join('-') };
  return sent.key;
}

$('spawn-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    const body = spawnBody();
    const started = await post('/v1/processes', body, { 'Idempotency-Key': idempotencyKey(body) });
    $('spawn-form').reset();
    learn(started);
    draw();
    choose(started.id);
  } catch (error) {
    $('spawn-error').textContent = error.message;
    if (!error.status) return;
  }
  sent.body = '';
});

/* Nothing there yet */

$('curl').textContent = `curl ${location.origin}/v1/processes \\
  -H "Authorization: Bearer $FORKFUL_TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d '{"argv": ["sleep", "60"]}'`;
$('copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText($('curl').textContent);
    $('copy').textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren($('curl'));
  }
});

if (takeToken()) enter();
else showDoor('');
addEventListener('hashchange', () => {
  if (!location.hash.startsWith('#token=')) return;
  showDoor('');
  takeToken();
  enter();
});
