// A server without root's rights (`server.user`): what is left to who takes it over, what the keeper refuses him, and that
// the daemon works so. Only root can start such a daemon.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, readlinkSync, renameSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, Daemon, PATIENCE, runBinary, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, problem } from '../lib/check.mjs';
import { alive, send } from '../lib/proc.mjs';

const root = process.getuid() === 0;
const [SERVER, LISTED] = ['games', 'nobody'].map((name) => {
  const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8').split('\n').find((line) => line.startsWith(`${name}:`)).split(':');
  return { name, uid: Number(uid), gid: Number(gid) };
});
const OPTIONS = ['--server-user', SERVER.name, '--server-spawn-users', LISTED.name];

/** `key` of /proc/PID/status. */
const status = (pid, key) => new RegExp(`^${key}:[ \\t]*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1].trim();
const ids = (pid) => [status(pid, 'Uid'), status(pid, 'Gid'), status(pid, 'Groups')].map((text) => [...new Set(text.split(/\s+/).filter(Boolean).map(Number))]);

/** A test with such a daemon, not started yet; its directory can be entered by all. */
function rootTest(name, body, { args = OPTIONS } = {}) {
  if (!root) return test(`needs root: ${name}`, () => assert.notEqual(process.getuid(), 0));
  return test(name, { timeout: PATIENCE * 4000 }, async (t) => {
    const d = new Daemon({ args });
    chmodSync(d.dir, 0o711);
    d.bin = path.join(d.dir, 'forkful');
    copyFileSync(BINARY, d.bin);
    try {
      await body(d);
      await d.stop();
    } catch (error) {
      t.diagnostic(`stderr: ${d.stderr.slice(-3000)}`);
      throw error;
    } finally { d.sweep(); }
  });
}

const started = (name, body, options) => rootTest(name, async (d) => body(await d.start()), options);

function checkServer(pid) {
  assert.deepEqual(ids(pid), [[SERVER.uid], [SERVER.gid], []]);
  for (const key of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.match(status(pid, key), /^0+$/, key);
  assert.deepEqual([status(pid, 'NoNewPrivs'), status(pid, 'Seccomp')], ['1', '2']);
}

suite('the server', () => {
  started('has nothing of root\'s, and neither has the next one', async (d) => {
    checkServer((await d.system()).server_pid);
    await d.killServer();
    const { keeper_pid, server_pid } = await d.system();
    checkServer(server_pid);
    assert.deepEqual([ids(keeper_pid)[0], status(keeper_pid, 'NoNewPrivs'), status(keeper_pid, 'Seccomp')], [[0], '0', '0']);
    for (const dir of [d.stateDir, d.runtimeDir]) {
      for (const name of ['.', ...readdirSync(dir)]) {
        const { uid, gid, mode } = statSync(path.join(dir, name));
        assert.deepEqual([uid, gid, mode & 0o077], [SERVER.uid, SERVER.gid, 0], name);
      }
    }
    assert.equal((await d.unix.call('GET', '/v1/system')).status, 200, 'root is the admin on the Unix socket too');
  });

  started('is not asked whom its keeper may take over after both were killed', async (d) => {
    const { id, pid } = await d.spawn({ argv: ['sleep', '1000'], cwd: '/' });
    await d.killBoth();
    await d.start();
    const record = await d.process(id);
    assert.deepEqual([record.state, record.exitcode, record.exit.reason], ['lost', null, 'keeper_lost']);
    assert.ok(alive(pid));
    send(pid, 'SIGKILL');
  });

  started('starts processes as itself and as who is listed, each with its own groups, and as nobody else', async (d) => {
    const sleeper = { argv: ['sleep', '1000'], cwd: '/' };
    const of = async (more) => ids((await d.spawn({ ...sleeper, ...more })).pid);
    assert.deepEqual(await of({}), [[SERVER.uid], [SERVER.gid], []]);
    assert.deepEqual(await of({ user: SERVER.name }), [[SERVER.uid], [SERVER.gid], []]);
    assert.deepEqual(await of({ user: LISTED.uid }), [[LISTED.uid], [LISTED.gid], [LISTED.gid]]);
    const { length } = await d.list();
    for (const more of [{ user: 'root' }, { user: 0 }, { group: 0 }, { user: LISTED.name, group: 'root' }, { user: LISTED.name, group: SERVER.gid }, { group: LISTED.gid }, { user: 'daemon' }, { user: 4242 }]) {
      const body = problem(await d.post('/v1/processes', { ...sleeper, ...more }), 422, 'spawn_failed');
      assert.deepEqual([body.stage, body.errno], ['user', 'EPERM'], JSON.stringify(more));
      assert.match(body.detail, /server\.spawn_users/);
    }
    assert.equal((await d.list()).filter((one) => one.alive).length, length);
  });

  started('sees what the kernel shows of other users\' processes, and null for the rest', async (d) => {
    const { id, pid } = await d.spawn({ shell: 'sleep 1000 & wait', user: LISTED.name, cwd: '/' });
    const items = await until('its child is there', async () => {
      const { body } = await d.get(`/v1/processes/${id}/tree`);
      return body.items[1]?.argv[0] === 'sleep' && body.items;
    });
    assert.deepEqual([items.length, items[0].pid, items[1].ppid], [2, pid, pid]);
    const { body } = await d.get(`/v1/processes/${id}/stats`);
    assert.deepEqual([body.pid, body.fds, body.threads, body.descendants], [pid, null, 1, 1]);
    assert.ok(body.rss_bytes > 0);
    await d.post(`/v1/processes/${id}/stop`, {}, { expect: 202 });
    killedBy(await d.join(id), 15, 'SIGTERM', 'stopped');
    await until('the tree is gone', () => !alive(items[1].pid));
  });
});

suite('an upgrade', () => {
  rootTest('takes a new binary of root\'s, and keeps all', async (d) => {
    await d.start();
    const { keeper_pid, server_pid } = await d.system();
    const listed = await d.spawn({ argv: ['cat'], stdin: 'pipe', user: LISTED.name, cwd: '/' });
    copyFileSync(BINARY, `${d.bin}.new`);
    renameSync(`${d.bin}.new`, d.bin);
    await d.post('/v1/upgrade', undefined, { expect: 202 });
    d.admin.reconnect();
    const after = await d.otherServer(server_pid);
    assert.equal(after.keeper_pid, keeper_pid);
    checkServer(after.server_pid);
    assert.equal(readlinkSync(`/proc/${after.server_pid}/exe`), d.bin);
    await d.call('POST', `/v1/processes/${listed.id}/stdin?eof=true`, { raw: 'word', expect: 202 });
    exitedWith(await d.join(listed.id), 0);
    problem(await d.post('/v1/processes', { argv: ['id'], user: 'root', cwd: '/' }), 422, 'spawn_failed');
  });

  rootTest('is refused by the keeper when others could have written the binary', async (d) => {
    await d.start();
    const { keeper_pid, server_pid } = await d.system();
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    chownSync(d.bin, SERVER.uid, SERVER.gid);
    await d.post('/v1/upgrade', undefined, { expect: 202 });
    d.admin.reconnect();
    await d.otherServer(server_pid);
    assert.match(d.stderr, /upgrade to .*: Operation not permitted; going on as before/);
    assert.deepEqual([(await d.system()).keeper_pid, (await d.process(id)).alive], [keeper_pid, true]);
  });
});

suite('a killed keeper', () => {
  started('is replaced by a server that watches all, and does what its user may', async (d) => {
    const script = 'echo begun; read x; echo "got $x"; exit 7';
    const own = await d.sh(script, { stdin: 'pipe' });
    const [other, deaf] = await Promise.all([script, 'echo begun; exec sleep 1000'].map((one) => d.sh(one, { stdin: 'pipe', user: LISTED.name, cwd: '/' })));
    for (const { id } of [own, other, deaf]) await until('it has begun', async () => (await d.logsText(id)) === 'begun\n');
    await d.killKeeper();
    const { keeper_pid } = await d.system();
    assert.deepEqual(ids(keeper_pid), [[SERVER.uid], [SERVER.gid], []]);
    for (const { id } of [own, other]) {
      await d.call('POST', `/v1/processes/${id}/stdin`, { raw: 'word\n', patient: PATIENCE, expect: 202 });
      const done = await d.join(id);
      if (done.state !== 'lost') exitedWith(done, 7); // who took the child in tells how it ended, or nobody does
      assert.equal(await d.logsText(id), 'begun\ngot word\n');
    }
    for (const [verb, body] of [['signal', { signal: 'TERM' }], ['signal', { signal: 'TERM', scope: 'tree' }], ['stop', {}], ['pause', undefined]]) {
      assert.match(problem(await d.post(`/v1/processes/${deaf.id}/${verb}`, body), 403, 'forbidden').detail, /not permitted/);
    }
    assert.equal((await d.process(deaf.id)).state, 'running');
    exitedWith(await d.run({ shell: 'exit 5' }), 5);
    problem(await d.post('/v1/processes', { argv: ['true'], user: LISTED.name, cwd: '/' }), 422, 'spawn_failed');
    d.tolerated.push(deaf.pid);
    await d.terminate(keeper_pid);
    assert.ok(alive(deaf.pid), 'whom only root can end lives on');
    send(deaf.pid, 'SIGKILL');
    await d.start();
    const { state, exit } = await d.process(deaf.id);
    assert.deepEqual([state, exit.kind], ['lost', 'lost']);
  }, { args: [...OPTIONS, '--shutdown-wait-seconds', '0.1'] });
});

suite('a directory', () => {
  rootTest('of a daemon that ran as root is handed over, and not back', async (d) => {
    d.args = [];
    await d.start();
    const { id } = await d.run({ shell: 'echo kept' });
    await d.restart();
    await d.end();
    d.args = OPTIONS;
    await d.start();
    assert.equal(await d.logsText(id), 'kept\n');
    await d.end();
    const { code, stderr } = await runBinary(new Daemon({ dir: d.dir }).command_line());
    assert.deepEqual([code, /belongs to uid \d+, not to uid 0/.test(stderr)], [1, true], stderr);
    await d.start();
  });

  rootTest('with links and second names in it is handed over to nobody', async (d) => {
    mkdirSync(d.stateDir, { mode: 0o700 });
    const [target, place] = [path.join(d.dir, 'of root'), path.join(d.stateDir, 'token')];
    copyFileSync('/etc/passwd', target);
    for (const put of [symlinkSync, linkSync]) {
      put(target, place);
      const { code, stdout, stderr } = await runBinary(d.command_line());
      assert.deepEqual([code, stdout], [1, ''], stderr);
      assert.match(stderr, /token is no plain file of root's/);
      assert.deepEqual([statSync(target).uid, statSync(d.stateDir).uid], [0, 0]);
      unlinkSync(place);
    }
    chmodSync(d.stateDir, 0o777);
    assert.match((await runBinary(d.command_line())).stderr, /belongs to uid 0/);
    chmodSync(d.stateDir, 0o700);
    symlinkSync('/etc', d.runtimeDir);
    assert.match((await runBinary(d.command_line())).stderr, /runtime directory \/etc belongs to uid 0/);
    assert.equal(statSync('/etc').uid, 0);
    unlinkSync(d.runtimeDir);
    await d.start();
  });

  rootTest('in use by a daemon of root\'s stays its own', async (d) => {
    d.args = [];
    await d.start();
    const second = new Daemon({ dir: d.dir, args: OPTIONS });
    const { code, stderr } = await runBinary(second.command_line());
    assert.deepEqual([code, /in use by another daemon/.test(stderr)], [1, true], stderr);
    assert.equal(statSync(path.join(d.stateDir, 'state.db')).uid, 0);
  });
});

suite('a start', () => {
  rootTest('with users that make no sense is refused, with the reason', async (d) => {
    for (const [args, words] of [[['--server-user', 'no-such-user'], /server\.user: there is no user "no-such-user"/], [['--server-user', 'root'], /must not be root/],
      [['--server-spawn-users', 'nobody'], /server\.spawn_users says nothing without server\.user/], [[...OPTIONS, '--server-spawn-users', 'no-such-user'], /server\.spawn_users: there is no user/],
      [['--server-seccomp', 'maybe'], /must be one of auto on off/]]) {
      d.args = args;
      const { code, stdout, stderr } = await runBinary(d.command_line());
      assert.ok(code > 0 && stdout === '', `${args}`);
      assert.match(stderr, words);
    }
    assert.ok(!existsSync(d.stateDir));
    d.args = OPTIONS;
    await d.start();
  });
});
