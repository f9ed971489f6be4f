// The live output of one process in the page: a stream that can be paused, and at most LINES lines of it.
import { follow, get } from './api.js';
import { bytes } from './words.js';

const LINES = 5000;
const $ = (id) => document.getElementById(id);
let box, shown, waiting, seq, process, stream;

function text(record) {
  if (record.text !== undefined) return record.text;
  const raw = Uint8Array.from(atob(record.data_base64), (c) => c.charCodeAt(0));
  return new TextDecoder().decode(raw);
}

function element(record) {
  const line = document.createElement('div');
  if (record.gap) {
    line.className = 'note';
    const lost = record.gap.bytes === null ? 'some' : bytes(record.gap.bytes);
    line.textContent = `${lost} of output missing here (${record.gap.reason})`;
  } else {
    line.className = record.stream + (record.partial ? ' cut' : '');
    line.textContent = text(record);
    line.title = `${record.stream} ${record.at}`;
  }
  return line;
}

// Lines are put into the page once a frame; what would be pushed out again at once is never made.
function flush() {
  if (!waiting.length) return;
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 30;
  const fresh = waiting.splice(0).slice(-LINES);
  shown += fresh.length;
  box.append(...fresh.map(element));
  for (; shown > LINES; shown--) box.firstChild.remove();
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function take(record) {
  seq = Math.max(seq ?? 0, record.seq);
  if (!waiting.length) requestAnimationFrame(flush);
  waiting.push(record);
  if (waiting.length > 2 * LINES) waiting.splice(0, LINES);
}

async function ended() {
  const now = await get(`/v1/processes/${process}`);
  if (now.alive || now.output.open || ['created', 'pending'].includes(now.state)) return false;
  say(seq === null ? 'no output' : 'complete');
  $('pause').disabled = true;
  return true;
}

const say = (words) => { $('log-state').textContent = words; };

function run() {
  stream = new AbortController();
  const signal = stream.signal;
  follow({
    path: () => `/v1/processes/${process}/logs?follow=true&${seq === null ? 'tail=500' : `after=${seq}`}`,
    item: take,
    opened: () => say('live'),
    finished: ended,
    broken: (error) => say(error ? 'not connected' : 'waiting'),
    refused: (error) => say(error.message),
    signal,
  });
}

export function openLog(id) {
  closeLog();
  [box, process, seq, shown, waiting] = [$('log'), id, null, 0, []];
  box.replaceChildren();
  $('pause').disabled = false;
  press(false);
  say('opening');
  run();
}

function press(on) {
  $('pause').setAttribute('aria-pressed', String(on));
  $('pause').textContent = on ? 'Go on' : 'Pause';
}

export const closeLog = () => stream?.abort();

// A pause leaves the stream; going on asks for what came after the last line, so nothing is passed over.
export function pauseLog(on) {
  press(on);
  stream.abort();
  if (on) say('paused'); else run();
}
