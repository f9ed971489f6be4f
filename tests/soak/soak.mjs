// A long run of everything at once: mixed load, killed servers and keepers, upgrades, clients that vanish. At the end all that
// was answered is there, memory and descriptors have stayed level, files have stayed within retention, and nothing is left.
//
// The first two fifths are chaos; what is killed loses its memory too, so levels are compared in the rest, where only the load
// goes on: the median after a quarter of it against the median of its last quarter. Run as a program it prints a table.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Daemon, sleep, until } from '../lib/daemon.mjs';
import { childrenOf, stat } from '../lib/proc.mjs';
import { now } from '../lib/wait.mjs';
import { Lanes } from './lanes.mjs';

const MB = 1 << 20;
const CHAOS = 0.4;

/** Small, so that they are reached early and all of it is about what goes on then. */
const CONFIG = `retention.ended_count = 200
retention.logs_total_bytes = 4M
logs.wal_bytes = 16M
feed.max_changes = 2000
feed.max_log = 1000
audit.max_rows = 1000
idempotency.age_seconds = 60
pools.keep_tasks = 200
http.idle_seconds = 5
log.level = warning
`;

/** Bytes that are the process's own; what it maps of files is the kernel's to take back. */
const memory = (pid) => Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) * 1024;
const descriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;
const bytes = (file) => { try { return statSync(file).size; } catch { return 0; } };

async function look(d, begun) {
  const { server_pid, keeper_pid } = await d.system({ patient: 60 });
  const files = (name) => bytes(path.join(d.stateDir, name)) + bytes(path.join(d.stateDir, `${name}-wal`));
  return {
    at: now() - begun, server: memory(server_pid), keeper: memory(keeper_pid), server_fds: descriptors(server_pid), keeper_fds: descriptors(keeper_pid),
    state_db: files('state.db'), logs_db: files('logs.db'),
  };
}

const HEADS = ['seconds', 'server MB', 'keeper MB', 'fds', 'state.db', 'logs.db', 'jobs', 'messages', 'added', 'locked', 'tasks', 'sessions'];
const row = (cells) => cells.map((one) => String(one).padStart(9)).join(' ');
const mb = (number) => (number / MB).toFixed(1);

function line(seen, { jobs, acked, added, locked, tasks, sessions }) {
  return row([seen.at.toFixed(0), mb(seen.server), (seen.keeper / MB).toFixed(2), `${seen.server_fds}+${seen.keeper_fds}`, mb(seen.state_db), mb(seen.logs_db), jobs, acked, added, locked, tasks, sessions]);
}

/** Kills and upgrades until `until_at`, at most every `pause` seconds: of six, four servers, one keeper, one upgrade. */
async function chaos(d, lanes, until_at, pause) {
  const told = { servers: 0, keepers: 0, upgrades: 0 };
  for (let i = 0; now() < until_at && lanes.going; i += 1) {
    await sleep(pause);
    if (i % 6 === 4) {
      const { server_pid } = await d.system({ patient: 60 });
      await d.call('POST', '/v1/upgrade', { patient: 60, expect: 202 });
      await until('the upgrade is over', async () => (await d.system()).server_pid !== server_pid);
      told.upgrades += 1;
    } else if (i % 6 === 2) {
      lanes.keeper_kills += 1;
      await d.killKeeper();
      told.keepers += 1;
    } else {
      await d.killServer();
      told.servers += 1;
    }
  }
  return told;
}

function median(samples, what) {
  const sorted = samples.map((one) => one[what]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** The heap of a loaded server breathes by some MB; what leaks a hundred bytes a call is beyond this within a minute. */
function level(samples, from, to) {
  const part = (begin, end) => samples.filter(({ at }) => at >= from + (to - from) * begin && at <= from + (to - from) * end);
  const [early, late] = [part(0.25, 0.5), part(0.75, 1)];
  assert.ok(early.length > 2 && late.length > 2, 'there are samples');
  for (const [what, slack] of [['server', 6 * MB], ['keeper', MB / 2], ['server_fds', 12], ['keeper_fds', 12]]) {
    const [before, after] = [median(early, what), median(late, what)];
    assert.ok(after <= before * 1.15 + slack, `${what} has grown from ${before} to ${after}`);
  }
  // A write-ahead log keeps the size it once had, up to 64 MB (16 MB for output).
  for (const one of late) assert.ok(one.state_db < 128 * MB && one.logs_db < 64 * MB, `files have grown: ${JSON.stringify(one)}`);
}

export async function soak({ seconds, print = () => {} }) {
  const d = new Daemon({ config: CONFIG });
  const lanes = new Lanes(d);
  const samples = [];
  try {
    await d.start();
    await lanes.begin();
    const begun = now();
    const calm_at = seconds * CHAOS;
    const breaking = chaos(d, lanes, begun + calm_at, Math.min(20, seconds / 30)).catch((error) => { lanes.failure ??= error; });
    print(row(HEADS));
    while (now() - begun < seconds && lanes.going) {
      await sleep(Math.min(10, seconds / 60));
      const seen = await look(d, begun).catch(() => null); // it was being killed
      if (seen) { samples.push(seen); print(line(seen, lanes.count)); }
    }
    const broken = await breaking;
    await lanes.end();
    await lanes.verify();
    await d.killServer();
    await lanes.verify();
    level(samples, calm_at, seconds);
    const { keeper_pid, server_pid } = await d.system();
    await d.delete('/v1/pools/doubles', { expect: [200, 202, 204] });
    await until('no child is left, and no zombie', () => childrenOf(keeper_pid).every((pid) => pid === server_pid && stat(pid)?.state !== 'Z'));
    await d.stop();
    return { ...broken, ...lanes.count };
  } finally {
    lanes.going = false;
    d.sweep();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sum = await soak({ seconds: Number(process.env.SOAK_SECONDS ?? 1800), print: console.log });
  console.log(JSON.stringify(sum));
}
