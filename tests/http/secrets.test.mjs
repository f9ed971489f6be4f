// Variables whose values the daemon reads from files (`env_from`): which files, when, for whom, and what is told of them.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { faults, problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';

const room = mkdtempSync(path.join(tmpdir(), 'forkful-secrets-'));
after(() => rmSync(room, { recursive: true, force: true }));
chmodSync(room, 0o755);
const config = `spawn.secret_directories = ${room}/kept\n`;
const kept = (name) => path.join(room, 'kept', name);
mkdirSync(kept('..data.1'), { recursive: true });
const file = (name, text) => { writeFileSync(kept(name), text, { mode: 0o600 }); return { file: kept(name) }; };
const printed = async (d, spec) => d.logsText((await d.run(spec)).id);
const ask = (d, env_from, more = {}) => d.post('/v1/processes', { argv: ['true'], env_from, ...more });

suite('env_from', () => {
  daemonTest('gives what a file holds, without the line feed at its end', { config }, async (d) => {
    const env_from = { A: file('a', 'first\n'), B: file('b', 'two\nlines\n\n'), C: file('c', ''), D: file('d', '\n'), PATH: file('path', '/usr/bin:/bin'), E: file('e', 'x'.repeat(65536)), FORKFUL_TOKEN: file('t', 'forged') };
    const record = await d.run({ argv: ['python3', '-c', 'import os; print([os.environ[k] for k in "ABCD"], os.environ["PATH"], len(os.environ["E"]), os.environ["FORKFUL_TOKEN"] == "forged", os.environ["F"])'], env_from, env: { F: 'f' } });
    assert.equal(await d.logsText(record.id), "['first', 'two\\nlines\\n', '', ''] /usr/bin:/bin 65536 False f\n");
    assert.deepEqual(record.env_keys.sort(), ['A', 'B', 'C', 'D', 'E', 'F', 'FORKFUL_TOKEN', 'PATH']);
  });

  daemonTest('follows links, as long as they stay in the directories', { config }, async (d) => {
    file('..data.1/password', 'one\n');
    symlinkSync('..data.1', kept('..data'));
    symlinkSync('..data/password', kept('password'));
    assert.equal(await printed(d, { shell: 'echo $P', env_from: { P: { file: kept('password') } } }), 'one\n');
    mkdirSync(kept('..data.2'));
    file('..data.2/password', 'two\n');
    symlinkSync('..data.2', kept('..data.next'));
    renameSync(kept('..data.next'), kept('..data'));
    assert.equal(await printed(d, { shell: 'echo $P', env_from: { P: { file: kept('password') } } }), 'two\n');
    symlinkSync('/etc/passwd', kept('out'));
    symlinkSync('/', kept('root'));
    for (const name of ['out', 'root/etc/passwd']) assert.deepEqual(faults(problem(await ask(d, { P: { file: kept(name) } }), 403, 'spawn_denied')), ['/env_from/P/file spawn_denied']);
  });

  daemonTest('refuses all else, and tells no difference between what is there and what is not', { config }, async (d) => {
    const body = problem(await ask(d, { P: { file: '/etc/passwd' }, Q: { file: '/etc/no-such' }, 'R/~': { file: `${room}/keptx` } }), 403, 'spawn_denied');
    assert.deepEqual(faults(body), ['/env_from/P/file spawn_denied', '/env_from/Q/file spawn_denied', '/env_from/R~1~0/file spawn_denied']);
    assert.equal(body.errors[0].detail, body.errors[1].detail);
    for (const where of ['relative', '', `${kept('a')}/../../x`, `${room}/kept/..`, '/..', 1, null]) problem(await ask(d, { P: { file: where } }), 422);
    for (const env_from of [{ P: {} }, { P: 'x' }, { P: { file: kept('a'), more: 1 } }, { '': { file: kept('a') } }, { 'a=b': { file: kept('a') } }, []]) problem(await ask(d, env_from), 422);
    assert.deepEqual(faults(problem(await ask(d, { P: file('p', '') }, { env: { P: '' } }), 422)), ['/env_from invalid_value']);
    execFileSync('mkfifo', [kept('pipe')]);
    for (const [name, errno] of [['no-such', 'ENOENT'], ['pipe', 'EINVAL'], ['..data.1', 'EINVAL'], ['large', 'EFBIG'], ['nul', 'EINVAL']]) {
      if (name === 'large') file(name, 'x'.repeat(65537));
      if (name === 'nul') file(name, 'a\0b');
      const answer = problem(await ask(d, { P: { file: kept(name) } }), 422, 'spawn_failed');
      assert.deepEqual([answer.errno, answer.stage], [errno, 'env'], name);
    }
    assert.equal((await d.list()).length, 0);
  });

  daemonTest('names variables that the policy lets be named', { config: `${config}spawn.env_deny = LD_*\nspawn.env_allow = A*\n` }, async (d) => {
    const one = file('x', '');
    assert.deepEqual(faults(problem(await ask(d, { A: one, 'LD_/~': one, B: one }, { env: { C: '' } }), 403, 'spawn_denied')), ['/env/C spawn_denied', '/env_from/B spawn_denied', '/env_from/LD_~1~0 spawn_denied']);
    assert.equal((await ask(d, { A: one, AB: one })).status, 201);
  });

  daemonTest('is refused where no directory is named', async (d) => {
    assert.deepEqual(faults(problem(await ask(d, { P: file('n', '') }), 403, 'spawn_denied')), ['/env_from/P/file spawn_denied']);
  });

  daemonTest('is read when the process starts, each time a worker does, and after a restart', { config }, async (d) => {
    file('late', 'early\n');
    const env_from = { P: { file: kept('late') } };
    const later = await d.spawn({ shell: 'echo $P', env_from, start: false });
    const lost = await d.spawn({ shell: 'echo $P', env_from: { P: { file: kept('lost') } }, start: false });
    assert.deepEqual(later.env_keys, ['P']);
    file('late', 'late\n');
    await d.killServer();
    await d.post(`/v1/processes/${later.id}/start`, {}, { expect: 200 });
    await d.join(later.id);
    assert.equal(await d.logsText(later.id), 'late\n');
    problem(await d.post(`/v1/processes/${lost.id}/start`, {}), 422, 'spawn_failed');
    file('lost', 'found');
    await d.post(`/v1/processes/${lost.id}/start`, {}, { expect: 200 });
    assert.equal(await until('it has ended', async () => !(await d.process(lost.id)).alive && d.logsText(lost.id)), 'found\n');
    const { body: pool } = await d.call('PUT', '/v1/pools/p', { body: { spec: { shell: 'cat; echo $P', env_from } }, expect: 201 });
    assert.deepEqual(pool.spec.env_keys, []);
    assert.deepEqual(pool.spec.env_from, env_from);
    const result = async () => {
      const { body: task } = await d.post('/v1/pools/p/tasks', 'x', { expect: 202 });
      return (await d.get(`/v1/pools/p/tasks/${task.id}?wait=20`)).body.result_text;
    };
    assert.match(await result(), /late\n$/);
    file('late', 'later\n');
    assert.match(await result(), /later\n$/);
  });

  daemonTest('is not for processes, nor for pools that they make', { config }, async (d) => {
    const env_from = { P: file('mine', 'x') };
    const one = await liver(d);
    for (const [method, where, body] of [['POST', '/v1/processes', { argv: ['true'], env_from }], ['POST', '/v1/processes', { argv: ['true'], env_from, start: false }], ['PUT', '/v1/pools/p', { spec: { argv: ['true'], env_from } }]]) {
      problem(await one.client.call(method, where, { body }), 403, 'spawn_denied');
    }
    const other = await session(d);
    await other.client.call('POST', '/v1/processes', { body: { argv: ['true'], env_from }, expect: 201 });
  });

  daemonTest('is for processes where the configuration says so', { config: `${config}spawn.secrets_for_processes = true\n` }, async (d) => {
    const one = await liver(d);
    await one.client.call('POST', '/v1/processes', { body: { argv: ['true'], env_from: { P: file('ours', 'x') } }, expect: 201 });
  });
});
