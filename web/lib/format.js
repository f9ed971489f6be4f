// Numbers, times and commands as people read them. Pure functions.
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
export const count = (n) => number.format(n);

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export function bytes(n) {
  if (n === null || n === undefined) return '–';
  if (n < 1000) return `${n} B`;
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${' kMGT'[power]}B`;
}

export const percent = (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

const pad = (n, width = 2) => String(n).padStart(width, '0');

/** 14:03:59 today, otherwise with the date in front; local time. */
export function moment(at, { millis = false } = {}) {
  const d = new Date(at);
  const fraction = millis ? `.${pad(d.getMilliseconds(), 3)}` : '';
  const time = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}${fraction}`;
  const today = d.toDateString() === new Date().toDateString();
  return today ? time : `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${time}`;
}

export const utc = (at) => `${at.replace('T', ' ').replace('Z', '')} UTC`;

/** One word of a shell's line, quoted when it has to be. */
export const quoted = (word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
export const commandLine = (argv) => argv.map(quoted).join(' ');

/** A call as one could make it in a terminal; the token stays a variable, so that none is copied around. */
export function curl(method, path, body) {
  const lines = [`curl ${method === 'POST' && body !== undefined ? '' : `-X ${method} `}${location.origin}${path}`,
    `  -H "Authorization: Bearer $FORKFUL_TOKEN"`];
  if (body !== undefined) lines.push(`  -H 'Content-Type: application/json'`, `  -d ${quoted(JSON.stringify(body))}`);
  return lines.join(' \\\n');
}

/** What a name or an argument may hide: control characters and marks that turn the direction of text are shown as such. */
export const visible = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
  (c) => c === '\n' ? '↵' : c === '\t' ? '→' : `\\u${pad(c.charCodeAt(0).toString(16), 4)}`);
