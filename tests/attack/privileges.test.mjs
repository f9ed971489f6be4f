// Attacks on who may do what: without a token, with a wrong or dead one, with somebody else's; and out of a child, which
// has a token of its own, a parent that could be reached, and signals.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';
import { alive, childrenOf, cmdline, marked, send } from '../lib/proc.mjs';
import { load } from '../contract/generate.mjs';
import { answersSoon, victim } from './wire.mjs';

/** Every try is looked at, however many there are: that too many are refused is in login.test.mjs. */
const stranger = { args: ['--auth-failures=100000'] };
const root = process.getuid() === 0;
const asRoot = root ? daemonTest : (name) => daemonTest(`needs root: ${name}`, async () => {});

/** Every operation of the contract that needs a token: [method, path with `id` in all its places]. */
function guarded(id) {
  const { paths } = load();
  return Object.entries(paths).flatMap(([where, item]) => ['get', 'post', 'put', 'delete'].filter((verb) => item[verb] && item[verb].security?.length !== 0)
    .map((verb) => [verb.toUpperCase(), where.replace(/\{[^}]+\}/g, id)]));
}

suite('a stranger', () => {
  daemonTest('tries every route without a token, with wrong ones and with dead ones', stranger, async (d) => {
    const target = await victim(d);
    const dead = await liver(d);
    const ended = await session(d);
    await d.delete(`/v1/processes/${dead.id}?kill=true`);
    await d.delete(`/v1/sessions/${ended.id}`);
    const wrong = [null, 'x', '', `fkf_${'0'.repeat(64)}`, `${d.token}0`, d.token.slice(0, -1), d.token.toUpperCase(), dead.token, ended.token, `fkp_${target.id.slice(2)}_${'0'.repeat(64)}`, `fkp_${target.id.slice(2)}_`];
    const routes = guarded(target.id);
    assert.ok(routes.length > 80);
    for (const [i, [method, where]] of routes.entries()) {
      for (const token of [null, wrong[i % wrong.length], wrong[(i + 5) % wrong.length]]) {
        const answer = await d.call(method, where, { token });
        assert.equal(answer.status, 401, `${method} ${where} with ${token}: ${answer}`);
        assert.match(answer.headers['www-authenticate'], /^Bearer/);
      }
    }
    await target.intact();
  });

  daemonTest('spells the token in other ways', stranger, async (d) => {
    for (const value of [`Basic ${Buffer.from(`admin:${d.token}`).toString('base64')}`, `Basic ${Buffer.from(`${d.token}:`).toString('base64')}`, d.token, `Token ${d.token}`, `Bearer\t${d.token}`, `Bearer${d.token}`,
      `Bearer ${d.token},x`, `Bearer ${d.token} x`, `Bearer "${d.token}"`, `Bearer ${encodeURIComponent(` ${d.token}`)}`, `Negotiate ${d.token}`, 'Bearer', 'Bearer null', 'Bearer undefined', `Bearer ${'x'.repeat(20000)}`]) {
      problem(await d.call('GET', '/v1/system', { token: null, headers: { Authorization: value } }), 401, 'unauthorized');
    }
    for (let i = 0; i < 300; i += 1) problem(await d.call('GET', '/v1/system', { token: `fkf_${String(i).padStart(64, '0')}` }), 401, 'unauthorized');
    await answersSoon(d);
  });

  daemonTest('learns nothing from a refusal about what there is', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const shape = async (where) => {
      const { status, body } = await d.call('GET', where, { token: null });
      return [status, body.code, body.detail];
    };
    assert.deepEqual(await shape(`/v1/processes/${id}`), await shape('/v1/processes/p_01jd8m3q7v0x4t5k6n7p8q9r0s'));
    assert.deepEqual(await shape('/v1/processes?bogus=1'), await shape('/v1/processes'));
  });

  daemonTest('looks for the token where it must not be', async (d) => {
    const { id } = await d.run({ shell: 'env; cat /proc/self/cmdline' });
    const { keeper_pid, server_pid } = await d.system();
    await d.call('GET', '/v1/system', { token: `${d.token}0` });
    const places = [await d.logsText(id), d.stderr, d.launched.stdout, cmdline(keeper_pid), cmdline(server_pid), ...[keeper_pid, server_pid].map((pid) => readFileSync(`/proc/${pid}/environ`, 'latin1'))];
    for (const where of ['/v1/log', '/v1/changes', '/v1/system', '/v1/capabilities', '/metrics', '/v1/sessions']) places.push((await d.get(where)).text);
    for (const text of places) assert.ok(!text.includes(d.token) && !text.includes(d.token.slice(4, 40)), text.slice(0, 80));
    await d.end();
    for (const file of ['state.db', 'logs.db']) assert.ok(!readFileSync(`${d.stateDir}/${file}`).includes(d.token.slice(4)), file);
    await d.start();
  });
});

suite('a process with its token', () => {
  daemonTest('reaches for everything of another one, on every route', async (d) => {
    const target = await victim(d);
    const thief = await liver(d);
    const other = await session(d);
    for (const [method, where] of guarded(target.id).filter(([verb, path]) => verb !== 'GET' && path.includes(`/processes/${target.id}`))) {
      const body = where.endsWith('/signal') ? { signal: 'TERM' } : method === 'PUT' ? {} : undefined;
      const answer = await thief.client.call(method, where.replace(/(logs)$/, '$1?before=1'), { body });
      assert.ok([400, 403, 404, 405, 409, 422].includes(answer.status), `${method} ${where}: ${answer}`);
    }
    problem(await thief.client.call('DELETE', `/v1/processes/${target.id}?kill=true`), 403, 'forbidden');
    problem(await thief.client.call('DELETE', `/v1/sessions/${other.id}`), 403, 'forbidden');
    for (const [method, where, body] of [['POST', '/v1/shutdown', {}], ['POST', '/v1/upgrade'], ['PUT', '/v1/log/level', { level: 'error' }], ['POST', '/v1/sessions', { ttl_seconds: 60 }]]) {
      problem(await thief.client.call(method, where, { body }), 403, 'forbidden');
    }
    assert.equal((await d.process(target.id)).alive, true);
    assert.equal((await d.process(thief.id)).alive, true);
  });

  daemonTest('takes what another one holds', async (d) => {
    const [owner, thief] = [await liver(d), await liver(d)];
    await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    await d.post('/v1/queues/q/messages', 1, { expect: 201 });
    await owner.client.call('POST', '/v1/locks/l/acquire', { body: {}, expect: 200 });
    const { messages } = (await owner.client.call('POST', '/v1/queues/q/receive', { expect: 200 })).body;
    assert.equal(messages.length, 1);
    for (const client of [thief.client, d.admin]) {
      problem(await client.call('POST', '/v1/locks/l/acquire', { body: {} }), 409, 'not_granted');
      assert.deepEqual((await client.call('POST', '/v1/queues/q/receive', { expect: 200 })).body.messages, []);
    }
    for (const hold of ['h_', 'h_01jd8m3q7v0x4t5k6n7p8q9r0s', messages[0].id.replace(/^m/, 'h'), '*']) {
      problem(await thief.client.call('POST', `/v1/holds/${hold}/release`), 404, 'not_found');
    }
    assert.equal((await d.get('/v1/locks/l')).body.held, true);
  });

  daemonTest('replays the answer to another one\'s Idempotency-Key, or its own twice at once', async (d) => {
    const [one, two] = [await liver(d), await liver(d)];
    const make = (client, body = { argv: ['sleep', '1000'] }) => client.call('POST', '/v1/processes', { body, headers: { 'Idempotency-Key': 'the-same' } });
    const first = (await make(one.client)).body;
    const second = await make(two.client);
    assert.equal(second.status, 201);
    assert.notEqual(second.body.id, first.id);
    assert.equal(second.headers['idempotency-replayed'], undefined);
    problem(await make(one.client, { argv: ['true'] }), 422, 'idempotency_key_reused');
    const before = (await d.list()).length;
    const many = await Promise.all(Array.from({ length: 30 }, () => make(d)));
    assert.equal(new Set(many.filter((one_of) => one_of.status === 201).map((one_of) => one_of.body.id)).size, 1);
    for (const answer of many) assert.ok(answer.status === 201 || answer.body.code === 'idempotency_in_progress', `${answer}`);
    assert.equal((await d.list()).length, before + 1);
  });
});

suite('a signal', () => {
  daemonTest('is aimed at init, at the daemon, at a group or at all', async (d) => {
    const target = await victim(d);
    const { keeper_pid, server_pid } = await d.system();
    for (const id of ['1', '0', '-1', `${keeper_pid}`, `-${keeper_pid}`, `${server_pid}`, `${process.pid}`, 'self', 'me', 'p_1', `p_${keeper_pid}`]) {
      problem(await d.post(`/v1/processes/${id}/signal`, { signal: 'KILL' }), 404, 'not_found');
      const many = await d.post('/v1/processes/actions', { ids: [id], action: 'kill' });
      assert.ok(many.status === 422 || many.body.items[0].status === 404, `${many}`);
    }
    await target.intact();
  });

  daemonTest('is none, or of no number', async (d) => {
    const target = await victim(d);
    for (const signal of [0, -1, 65, 1.5, 1e300, '', 'SIGNOTHING', 'SIGRTMIN+99', 'SIGRTMIN-1', 'KILL; id', ['KILL'], { a: 1 }, true, null]) {
      problem(await d.post(`/v1/processes/${target.id}/signal`, { signal }), 422);
    }
    for (const scope of ['all', 'system', '', 1, ['tree']]) problem(await d.post(`/v1/processes/${target.id}/signal`, { signal: 'KILL', scope }), 422);
    await target.intact();
  });

  daemonTest('comes after the end, when another one may have the pid', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    for (const scope of ['main', 'group', 'tree']) problem(await d.post(`/v1/processes/${id}/signal`, { signal: 'KILL', scope }), 409, 'not_running');
    for (const verb of ['kill', 'terminate']) await d.post(`/v1/processes/${id}/${verb}`, undefined, { expect: 200 });
    await answersSoon(d);
  });
});

suite('a child', () => {
  daemonTest('escapes its end by a double fork, a session of its own, deafness and a clean environment', async (d) => {
    // Without cgroups an orphan is known by its environment alone.
    const { kernel } = await d.system();
    const marks = kernel.cgroup ? '{}' : 'os.environ';
    const { id } = await d.python(`
import os, signal, sys
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(one, signal.SIG_IGN)
        os.write(1, b"%d\\n" % os.getpid()) # print writes the line and its end apart
        for fd in range(3): os.close(fd)
        os.execve("/bin/sleep", ["quiet", "1000"], ${marks})
    os.wait()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True: signal.pause()`);
    const pids = await until('they have escaped', async () => {
      const told = (await d.logsText(id)).trim().split('\n').map(Number);
      return told.length === 3 && told.every((pid) => cmdline(pid) === 'quiet 1000') && told;
    });
    try {
      await d.post(`/v1/processes/${id}/stop`, { grace_seconds: 0.2 }, { expect: 202 });
      await d.join(id);
      await until('all have ended', () => pids.every((pid) => !alive(pid)));
    } finally { for (const pid of pids) if (cmdline(pid) === 'quiet 1000') send(pid, 'SIGKILL'); }
  });

  daemonTest('looks around for descriptors, tokens and listeners of the daemon', async (d) => {
    const code = `
import os, socket
mine = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
print(len([fd for fd in mine if os.path.exists("/proc/self/fd/%d" % fd)]))
print([os.environ[k] for k in os.environ if os.environ[k].startswith("fkf_")])`;
    const { id } = await d.run({ argv: ['python3', '-c', code] });
    assert.equal(await d.logsText(id), '3\n[]\n');
    const status = await d.logsText((await d.run({ argv: ['cat', '/proc/self/status'] })).id);
    for (const field of ['SigIgn', 'SigBlk', 'SigCgt']) assert.match(status, new RegExp(`^${field}:\\t0+$`, 'm'));
  });

  asRoot('of another user reaches for the daemon\'s memory, files and socket', async (d) => {
    const { keeper_pid, server_pid } = await d.system();
    const code = `
import os, signal, socket
tries = {
  "environ": lambda pid: open("/proc/%d/environ" % pid).read(),
  "mem": lambda pid: open("/proc/%d/mem" % pid, "rb"),
  "fd": lambda pid: os.listdir("/proc/%d/fd" % pid),
  "kill": lambda pid: os.kill(pid, signal.SIGKILL),
  "token": lambda pid: open("${d.stateDir}/token").read(),
  "db": lambda pid: open("${d.stateDir}/state.db", "rb"),
  "spool": lambda pid: os.listdir("${d.runtimeDir}"),
  "socket": lambda pid: socket.socket(socket.AF_UNIX).connect("${d.socket}"),
  "root": lambda pid: os.setuid(0),
  "nice": lambda pid: os.nice(-5),
}
for name, attempt in tries.items():
    for pid in (${keeper_pid}, ${server_pid}):
        try: attempt(pid); print("got", name)
        except OSError as e: pass
for line in open("/proc/self/status"):
    if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb", "Groups")): print(line.split()[1:])`;
    const { id } = await d.run({ argv: ['python3', '-c', code], user: 'nobody', cwd: '/' });
    assert.equal(await d.logsText(id), "['65534']\n['0000000000000000']\n['0000000000000000']\n['0000000000000000']\n['0000000000000000']\n");
    await answersSoon(d);
  });

  asRoot('of another user becomes a user again through the daemon', async (d) => {
    const one = await liver(d, { user: 'nobody', cwd: '/' });
    for (const more of [{ user: 'root' }, { user: 0 }, { group: 0 }, { user: '0' }, { nice: -20 }, { start: false, user: 'root' }]) {
      const answer = await one.client.call('POST', '/v1/processes', { body: { argv: ['id'], cwd: '/', ...more } });
      assert.ok([403, 422].includes(answer.status), `${JSON.stringify(more)}: ${answer}`);
    }
    const { body: made } = await one.client.call('POST', '/v1/processes', { body: { shell: 'id -u', cwd: '/' }, expect: 201 });
    exitedWith(await d.join(made.id), 0);
    assert.equal(await d.logsText(made.id), '65534\n');
  });

  daemonTest('of the keeper\'s own program does nothing and leaves nothing', async (d) => {
    const { keeper_pid } = await d.system();
    for (const argv of [['/proc/self/exe'], ['/proc/self/exe', '--server'], [`/proc/${keeper_pid}/exe`], [`/proc/${keeper_pid}/exe`, 'serve']]) {
      const answer = await d.post('/v1/processes', { argv, timeout_seconds: 5 });
      if (answer.status === 201) await d.join(answer.body.id);
      else problem(answer, 422, 'spawn_failed');
    }
    assert.equal((await d.system()).keeper_pid, keeper_pid);
    await until('nothing is left', () => childrenOf(keeper_pid).length === 1 && marked(d.mark).length === 2);
    assert.ok(readdirSync(d.stateDir).includes('token'));
    await answersSoon(d);
  });
});
