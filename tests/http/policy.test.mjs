// The spawn policy of the configuration, and no_new_privs: what may be spawned, by whom, and what is added to it.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, faults, problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';
import { send } from '../lib/proc.mjs';

const root = process.getuid() === 0;
const asRoot = root ? daemonTest : (name) => daemonTest(`needs root: ${name}`, async () => {});
const room = mkdtempSync(path.join(tmpdir(), 'forkful-policy-'));
after(() => rmSync(room, { recursive: true, force: true }));
chmodSync(room, 0o755);

const noNewPrivs = (pid) => Number(/^NoNewPrivs:\s*(\d)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]);
const nofile = (pid) => /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1')).slice(1).map(Number);
const ask = (d, spec) => d.post('/v1/processes', spec);
const denied = async (d, spec, ...places) => {
  assert.deepEqual(faults(problem(await ask(d, spec), 403, 'spawn_denied')), places);
};
const sleeper = { argv: ['sleep', '1000'] };

/** Another configuration, read again; waits until the daemon shows it. */
async function reload(d, config, shown) {
  writeFileSync(path.join(d.dir, 'forkful.conf'), config);
  send(d.pid, 'SIGHUP');
  await until('it is read', async () => shown((await d.get('/v1/capabilities')).body.spawn));
}

suite('no_new_privs', () => {
  daemonTest('is set for every child, told in its record, and not to be had otherwise', async (d) => {
    const one = await d.spawn(sleeper);
    assert.equal(one.no_new_privs, true);
    assert.equal(noNewPrivs(one.pid), 1);
    assert.equal((await d.spawn({ ...sleeper, no_new_privs: true })).no_new_privs, true);
    await denied(d, { ...sleeper, no_new_privs: false }, '/no_new_privs spawn_denied');
    await denied(d, { ...sleeper, no_new_privs: false, start: false }, '/no_new_privs spawn_denied');
    problem(await d.call('PUT', '/v1/pools/p', { body: { spec: { ...sleeper, no_new_privs: false } } }), 403, 'spawn_denied');
  });

  daemonTest('is given up by who says so, where that is allowed, but by nothing that has it', { config: 'spawn.allow_new_privs = true\n' }, async (d) => {
    const free = await liver(d, { no_new_privs: false });
    assert.equal(free.no_new_privs, false);
    assert.equal(noNewPrivs(free.pid), 0);
    const bound = await liver(d);
    for (const start of [true, false]) {
      const body = problem(await bound.client.call('POST', '/v1/processes', { body: { ...sleeper, no_new_privs: false, start } }), 403, 'forbidden');
      assert.deepEqual(body.errors.map((one) => one.pointer), ['/no_new_privs']);
    }
    const make = async (owner, more) => (await owner.client.call('POST', '/v1/processes', { body: { ...sleeper, ...more }, expect: 201 })).body;
    assert.equal(noNewPrivs((await make(free, { no_new_privs: false })).pid), 0);
    assert.equal(noNewPrivs((await make(free)).pid), 1);
    const later = await make(free, { no_new_privs: false, start: false });
    await d.killServer();
    assert.equal((await d.post(`/v1/processes/${later.id}/start`, {}, { expect: 200 })).body.no_new_privs, false);
    assert.equal(noNewPrivs((await d.process(later.id)).pid), 0);
  });

  daemonTest('is inherited where the configuration does not ask for it', { config: 'spawn.no_new_privs = false\n' }, async (d) => {
    assert.equal(noNewPrivs((await d.spawn(sleeper)).pid), 0);
    const bound = await liver(d, { no_new_privs: true });
    const child = (await bound.client.call('POST', '/v1/processes', { body: sleeper, expect: 201 })).body;
    assert.equal(child.no_new_privs, true);
    assert.equal(noNewPrivs(child.pid), 1);
    await bound.client.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['cat'] }, mode: 'stdio', processes: 1 }, expect: 201 });
    const [worker] = await until('it works', async () => (await d.get('/v1/pools/p')).body.workers.filter((one) => one.pid));
    assert.equal(noNewPrivs(worker.pid), 1);
  });

  asRoot('keeps a set-user-ID program from its user', async (d) => {
    const file = path.join(room, 'id');
    copyFileSync('/usr/bin/id', file);
    chmodSync(file, 0o4755);
    const one = await d.run({ argv: [file, '-u'], user: 'nobody', cwd: '/' });
    assert.equal(await d.logsText(one.id), '65534\n');
  });
});

suite('users and groups', () => {
  asRoot('are those of the lists, whether they are asked for or not', { config: 'spawn.users = nobody\nspawn.users = 1\n' }, async (d) => {
    await denied(d, sleeper, '/user spawn_denied');
    await denied(d, { ...sleeper, user: 'root' }, '/user spawn_denied');
    await denied(d, { ...sleeper, user: 0, group: 'nogroup' }, '/group spawn_denied', '/user spawn_denied');
    await denied(d, { ...sleeper, group: 'nogroup' }, '/group spawn_denied', '/user spawn_denied');
    await denied(d, { ...sleeper, cwd: '/', user: 'nobody', group: 'root' }, '/group spawn_denied');
    problem(await ask(d, { ...sleeper, user: 'no-such-user' }), 422, 'spawn_failed');
    for (const more of [{ user: 'nobody' }, { user: 65534, group: 'nogroup' }, { user: 'daemon' }]) await d.spawn({ ...sleeper, cwd: '/', ...more });
  });

  asRoot('may name the groups of the list besides their own', { config: 'spawn.groups = games\n' }, async (d) => {
    await d.spawn(sleeper);
    await d.spawn({ ...sleeper, group: 'games' });
    await d.spawn({ ...sleeper, cwd: '/', user: 'nobody', group: 'nogroup' });
    await denied(d, { ...sleeper, cwd: '/', user: 'nobody', group: 'root' }, '/group spawn_denied');
  });

  asRoot('bind what a process asks for, and what starts later or in a pool', { config: 'spawn.users = root\n' }, async (d) => {
    const one = await liver(d);
    await denied({ post: (where, body) => one.client.call('POST', where, { body }) }, { ...sleeper, user: 'nobody' }, '/user spawn_denied');
    const { id } = await d.spawn({ ...sleeper, start: false });
    await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    const { body: hold } = await one.client.call('POST', '/v1/locks/l/acquire', { body: {}, expect: 200 });
    const waiting = await d.spawn({ ...sleeper, requires: { lock: 'l' } });
    await d.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['cat'] } }, expect: 201 });
    await reload(d, 'spawn.users = nobody\n', (shown) => shown.users.includes('nobody'));
    problem(await d.post(`/v1/processes/${id}/start`, {}), 403, 'spawn_denied');
    assert.equal((await d.process(id)).state, 'created');
    await one.client.call('POST', `/v1/holds/${(hold.hold ?? hold).id}/release`, { body: {} });
    const ended = await until('it has failed', async () => { const now = await d.process(waiting.id); return now.state === 'failed' && now; });
    assert.equal(ended.error.errno, 'EACCES');
    const { body: task } = await d.post('/v1/pools/p/tasks', 'x', { expect: 202 });
    const failed = (await d.get(`/v1/pools/p/tasks/${task.id}?wait=20`)).body;
    assert.equal(failed.error?.code, 'spawn_failed', JSON.stringify(failed));
    problem(await d.call('PUT', '/v1/pools/q', { body: { spec: { argv: ['cat'] } } }), 403, 'spawn_denied');
    await reload(d, '', (shown) => shown.users.length === 0);
    await d.post(`/v1/processes/${id}/start`, {}, { expect: 200 });
  });
});

suite('programs and directories', () => {
  const tools = path.join(room, 'tools');
  mkdirSync(path.join(tools, 'deep'), { recursive: true });
  copyFileSync('/usr/bin/id', path.join(tools, 'deep', 'mine'));
  writeFileSync(path.join(tools, 'script'), '#!/bin/sh\necho "$0 $1"; ls /proc/self/fd | wc -l\n', { mode: 0o755 });
  writeFileSync(path.join(tools, 'plain'), 'echo no shebang\n', { mode: 0o755 });
  symlinkSync('/usr/bin/id', path.join(tools, 'out'));
  symlinkSync(tools, path.join(room, 'in'));
  symlinkSync('/', path.join(tools, 'deep', 'up'));
  const config = `spawn.executables = ${room}/in/\nspawn.executables = /bin/sleep\nspawn.directories = ${room}/in\nspawn.directories = /usr\n`;
  const here = (spec) => ({ cwd: tools, ...spec });

  daemonTest('are those of the lists, by whatever name', { config }, async (d) => {
    for (const argv of [['sleep', '1000'], ['/usr/bin/sleep', '1000'], ['/bin/../bin/sleep', '1000'], ['/proc/self/root/bin/sleep', '1000']]) {
      const { pid } = await d.spawn(here({ argv }));
      assert.equal(readlinkSync(`/proc/${pid}/exe`), readlinkSync('/proc/self/root') === '/' ? '/usr/bin/sleep' : '');
      assert.equal(readlinkSync(`/proc/${pid}/cwd`), tools);
    }
    for (const argv of [[`${tools}/deep/mine`], ['deep/mine'], ['./deep/mine'], [`${room}/in/deep/mine`]]) exitedWith(await d.run(here({ argv })), 0);
    exitedWith(await d.run(here({ argv: ['mine'], env: { PATH: `/nowhere:${tools}/deep` } })), 0);
    exitedWith(await d.run(here({ argv: ['mine'], env: { PATH: 'deep' } })), 0);
    for (const argv of [['id'], ['/bin/sh'], [`${tools}/out`], ['./out'], [`${tools}/deep/../../../../usr/bin/id`], ['/proc/self/exe']]) {
      await denied(d, here({ argv }), '/argv/0 spawn_denied');
    }
    await denied(d, here({ shell: 'id' }), '/shell spawn_denied');
    await denied(d, { argv: ['id'], cwd: '/' }, '/argv/0 spawn_denied', '/cwd spawn_denied');
    await denied(d, { argv: ['id'] }, '/argv/0 spawn_denied', '/cwd spawn_denied');
    for (const cwd of ['/', '/tmp', room, `${tools}/deep/up`, `${tools}/..`, `${room}/in/deep/up/tmp`]) await denied(d, { ...sleeper, cwd }, '/cwd spawn_denied');
    for (const cwd of [tools, `${tools}/deep`, '/usr', '/usr/share', `${room}/in`, '/usr/../usr/bin/.']) await d.spawn({ ...sleeper, cwd });
    for (const [spec, errno, stage] of [[{ argv: ['no-such'] }, 'ENOENT', 'exec'], [{ argv: ['deep'] }, 'ENOENT', 'exec'], [{ argv: ['./deep'] }, 'EACCES', 'exec'], [{ argv: [''] }, 'ENOENT', 'exec'],
      [{ argv: ['./plain'] }, 'ENOEXEC', 'exec'], [{ argv: ['sleep'], cwd: '/nowhere' }, 'ENOENT', 'cwd'], [{ argv: ['sleep'], cwd: `${tools}/script` }, 'ENOTDIR', 'cwd']]) {
      const body = problem(await ask(d, here(spec)), 422, 'spawn_failed');
      assert.deepEqual([body.errno, body.stage], [errno, stage], JSON.stringify(spec));
    }
  });

  daemonTest('let a script be read by its interpreter as /dev/fd/N', { config }, async (d) => {
    const { id } = await d.run(here({ argv: ['./script', 'word'] }));
    assert.match(await d.logsText(id), /^\/dev\/fd\/\d+ word\n\d+\n$/);
  });

  daemonTest('hold for a body that is large, for stdin, and for another user', { config }, async (d) => {
    const { id } = await d.run(here({ argv: ['./script', 'x'.repeat(70000)], stdin: { text: 'some' }, ...(root ? { user: 'nobody' } : {}) }));
    assert.match(await d.logsText(id), /^\/dev\/fd\/\d+ x{70000}\n/);
  });

  asRoot('let nobody in where his own rights do not', { config }, async (d) => {
    const locked = path.join(tools, 'locked');
    mkdirSync(path.join(locked, 'open'), { recursive: true });
    copyFileSync('/usr/bin/id', path.join(locked, 'id'));
    chmodSync(locked, 0o700);
    for (const [spec, stage] of [[{ ...sleeper, cwd: `${locked}/open` }, 'cwd'], [{ argv: [`${locked}/id`], cwd: tools }, 'exec']]) {
      const body = problem(await ask(d, { ...spec, user: 'nobody' }), 422, 'spawn_failed');
      assert.deepEqual([body.errno, body.stage], ['EACCES', stage]);
      await d.spawn(spec);
    }
  });
});

suite('the environment', () => {
  daemonTest('has the variables that are allowed, and none that is denied', { config: 'spawn.env_deny = LD_*\nspawn.env_deny = PATH\nspawn.env_allow = APP_*\nspawn.env_allow = PATH\nspawn.env_allow = LD_X\nspawn.env_allow = a/b~c\n' }, async (d) => {
    await denied(d, { ...sleeper, env: { LD_PRELOAD: '/x.so', LD_X: '1', PATH: '/', OTHER: '', APP_: '1', 'x/y~z': '' } }, '/env/LD_PRELOAD spawn_denied', '/env/LD_X spawn_denied', '/env/OTHER spawn_denied', '/env/PATH spawn_denied', '/env/x~1y~0z spawn_denied');
    await d.spawn({ ...sleeper, env: { APP_1: '1', APP_: '', 'a/b~c': '' } });
    await d.spawn(sleeper);
    problem(await d.call('PUT', '/v1/pools/p', { body: { spec: { ...sleeper, env: { LD_PRELOAD: 'x' } } } }), 403, 'spawn_denied');
  });
});

suite('limits', () => {
  daemonTest('are at most those of the policy, which who asks for none gets', { config: 'spawn.max_rlimits = nofile=100\nspawn.max_rlimits = cpu_seconds=50\n' }, async (d) => {
    assert.deepEqual(nofile((await d.spawn(sleeper)).pid), [100, 100]);
    assert.deepEqual(nofile((await d.spawn({ ...sleeper, rlimits: { nofile: 90, core_bytes: 0 } })).pid), [90, 90]);
    assert.deepEqual(faults(problem(await ask(d, { ...sleeper, rlimits: { nofile: 101, cpu_seconds: 51, nproc: 9 } }), 422, 'invalid_value')), ['/rlimits/cpu_seconds invalid_value', '/rlimits/nofile invalid_value']);
    assert.deepEqual(faults(problem(await ask(d, { ...sleeper, rlimits: { nofile: 101 }, no_new_privs: false }), 403, 'spawn_denied')), ['/no_new_privs spawn_denied', '/rlimits/nofile invalid_value']);
    const one = await liver(d, { rlimits: { nofile: 80 } });
    assert.deepEqual(nofile((await one.client.call('POST', '/v1/processes', { body: sleeper, expect: 201 })).body.pid), [80, 80]);
    const later = await d.spawn({ ...sleeper, start: false });
    await d.post(`/v1/processes/${later.id}/start`, {}, { expect: 200 });
    assert.deepEqual(nofile((await d.process(later.id)).pid), [100, 100]);
  });
});

suite('processes at once', () => {
  daemonTest('are bounded for each token, process, session and the admin', { config: 'spawn.max_processes_per_owner = 2\n' }, async (d) => {
    const { body: token } = await d.post('/v1/tokens', { scopes: ['spawn', 'operate'] }, { expect: 201 });
    const one = await liver(d);
    const other = await session(d);
    const full = async (client) => {
      const answer = await client.call('POST', '/v1/processes', { body: sleeper });
      problem(answer, 429, 'limit_reached');
      assert.ok(Number(answer.headers['retry-after']) >= 1);
    };
    for (const client of [d.as(token.token), one.client, other.client]) {
      const made = [];
      for (const more of [{}, { start: false }]) made.push((await client.call('POST', '/v1/processes', { body: { ...sleeper, ...more }, expect: 201 })).body);
      await full(client);
      await d.killServer();
      await full(client);
      await d.delete(`/v1/processes/${made[0].id}?kill=true`);
      made[0] = (await client.call('POST', '/v1/processes', { body: sleeper, expect: 201 })).body;
      await full(client);
      await d.delete(`/v1/processes/${made[1].id}`);
      const ended = await client.call('POST', '/v1/processes', { body: { argv: ['true'] }, expect: 201 });
      await d.join(ended.body.id);
      await client.call('POST', '/v1/processes', { body: sleeper, expect: 201 });
      await full(client);
    }
    await d.spawn(sleeper);
    await full(d.admin);
  });

  daemonTest('are not come by through a pool, whose tasks wait', { config: 'spawn.max_processes_per_owner = 2\n' }, async (d) => {
    const { body: token } = await d.post('/v1/tokens', { scopes: ['spawn', 'operate'] }, { expect: 201 });
    const client = d.as(token.token);
    await client.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['cat'] }, mode: 'stdio', processes: 8 }, expect: 201 });
    await until('two work, and one more was refused', async () => {
      const { body } = await d.get('/v1/pools/p');
      return body.workers.filter((one) => one.pid).length === 2 && /max_processes_per_owner/.test(body.last_error);
    });
    problem(await client.call('POST', '/v1/processes', { body: sleeper }), 429, 'limit_reached');
    await d.killServer();
    problem(await client.call('POST', '/v1/processes', { body: sleeper }), 429, 'limit_reached');
    await d.spawn(sleeper);
  });
});

suite('the policy', () => {
  daemonTest('is shown', { config: 'spawn.users = nobody\nspawn.groups = 7\nspawn.executables = /usr/bin/\nspawn.directories = /tmp\nspawn.env_allow = A*\nspawn.env_deny = B\nspawn.max_rlimits = nofile=9\nspawn.max_processes_per_owner = 3\nspawn.no_new_privs = false\nspawn.allow_new_privs = true\nspawn.secret_directories = /s\nspawn.secrets_for_processes = true\n' }, async (d) => {
    assert.deepEqual((await d.get('/v1/capabilities')).body.spawn, {
      no_new_privs: false, allow_new_privs: true, users: ['nobody'], groups: ['7'], executables: ['/usr/bin/'], directories: ['/tmp'], env_allow: ['A*'], env_deny: ['B'], secret_directories: ['/s'], secrets_for_processes: true, max_rlimits: { nofile: 9 }, max_processes_per_owner: 3,
    });
  });
});
