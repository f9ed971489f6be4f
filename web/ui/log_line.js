// One line of output as a node: its number, which is its address, when it came, and what it says.
import { ansi } from '../lib/ansi.js';
import { moment, utc } from '../lib/format.js';
import { missing, t } from '../lib/words.js';

const utf8 = new TextDecoder();
const textOf = (line) => line.text ?? utf8.decode(Uint8Array.from(atob(line.data_base64), (c) => c.charCodeAt(0)));

function element(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function number(seq, address) {
  const node = element('a', 'line-number', seq);
  node.href = address;
  node.title = t.log.toLine(seq);
  node.tabIndex = -1;                 // there are too many of them to tab through
  return node;
}

function time(at) {
  const node = element('time', 'line-time', moment(at, { millis: true }));
  node.dateTime = at;
  node.title = utc(at);
  return node;
}

/** line: undefined while it is fetched, null when nothing stands there. hit: a global RegExp of what is marked, or null. */
export function logLine(line, seq, { address, picked, hit }) {
  const classes = ['line', line?.stream, picked && 'picked', line?.partial && 'partial'];
  const row = element('div', classes.filter(Boolean).join(' '));
  row.append(number(seq, address));
  if (!line) {
    row.append(element('span', 'soft', line === null ? '' : '…'));
    return row;
  }
  const text = element('span', 'line-text');
  if (line.gap) text.append(element('span', 'line-gap', `${missing(line.gap)} `));
  if (line.text !== undefined || line.data_base64 !== undefined) text.append(...ansi(textOf(line), hit));
  row.append(time(line.at), text);
  return row;
}
