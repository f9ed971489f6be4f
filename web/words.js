// Records in words, and a typed line in arguments. Nothing here touches the page.

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${' kMGT'[power]}B`;
}

export const output = (p) => p.output.stdout_bytes + p.output.stderr_bytes;

const REASONS = {
  timeout: 'ran too long', stopped: 'stopped', oom: 'out of memory', parent_exit: 'its parent ended',
  shutdown: 'the daemon was shut down', reboot: 'the machine was started anew', keeper_lost: 'its keeper was lost',
};

export function ending(p) {
  const exit = p.exit;
  if (p.state === 'failed') return `could not be started: ${p.error.errno} (${p.error.stage})`;
  if (!exit) return p.state === 'lost' ? 'end not seen' : '';
  const what = exit.kind === 'exited' ? `exit ${exit.code}`
    : exit.kind === 'signaled' ? `${exit.signal}${exit.core_dumped ? ', core dumped' : ''}` : 'end not seen';
  return REASONS[exit.reason] ? `${what}, ${REASONS[exit.reason]}` : what;
}

// An end somebody asked for is none to be shown in red.
export const wentWrong = (p) => ['failed', 'lost'].includes(p.state)
  || (Boolean(p.exitcode) && !['stopped', 'shutdown', 'parent_exit'].includes(p.exit?.reason));

export function age(p) {
  if (!p.started_at) return ending(p) || 'not started';
  if (p.alive) return duration((Date.now() - Date.parse(p.started_at)) / 1000);
  return ending(p);
}

export const command = (p) => p.argv.map((word) => /^[\w@%+=:,./-]+$/.test(word) ? word
  : `'${word.replaceAll("'", "'\\''")}'`).join(' ');

export const moment = (at) => at ? new Date(at).toLocaleString() : null;

// Splits as a shell would at spaces, '…', "…" and \, and does nothing else a shell does. Throws on an open quote.
export function splitWords(line) {
  const words = [];
  let word = null, quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    const escapes = c === '\\' && i + 1 < line.length && (!quote || (quote === '"' && '"\\'.includes(line[i + 1])));
    if (escapes) word = (word ?? '') + line[++i];
    else if (quote) { if (c === quote) quote = ''; else word += c; }
    else if (c === '"' || c === "'") { quote = c; word ??= ''; }
    else if (/\s/.test(c)) { if (word !== null) words.push(word); word = null; }
    else word = (word ?? '') + c;
  }
  if (quote) throw new Error(`The quote ${quote} is not closed.`);
  if (word !== null) words.push(word);
  return words;
}
