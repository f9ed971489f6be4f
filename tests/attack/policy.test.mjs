// Attacks on what is executed, where and as whom: paths that lead elsewhere or change under the daemon's eyes, things that are
// no programs, environments and arguments that no exec takes, users and rights that the policy keeps back.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem } from '../lib/check.mjs';
import { liver } from '../lib/owners.mjs';
import { answersSoon } from './wire.mjs';

const root = process.getuid() === 0;
const asRoot = root ? daemonTest : (name) => daemonTest(`needs root: ${name}`, async () => {});
const room = mkdtempSync(path.join(tmpdir(), 'forkful-attack-'));
after(() => rmSync(room, { recursive: true, force: true }));
chmodSync(room, 0o755);
const good = path.join(room, 'good');
const evil = path.join(room, 'evil');
for (const [where, word] of [[good, 'good'], [evil, 'evil']]) {
  mkdirSync(where);
  writeFileSync(path.join(where, 'script'), `#!/bin/sh\necho ${word}\n`, { mode: 0o755 });
  copyFileSync('/usr/bin/basename', path.join(where, word === 'good' ? 'tool' : 'kept'));
}
copyFileSync('/usr/bin/echo', path.join(evil, 'tool'));
const config = `spawn.executables = ${good}/\nspawn.directories = ${good}\n`;
const ask = (d, spec) => d.post('/v1/processes', spec);

/** Lets the link `name` point by turns to the one and the other while `body` runs; gives what that gives. */
async function swapping(name, one, other, body) {
  const link = path.join(room, name);
  let over = false;
  symlinkSync(one, link);
  const swapper = (async () => {
    for (let i = 0; !over; i += 1) {
      symlinkSync(i % 2 ? one : other, `${link}.next`);
      renameSync(`${link}.next`, link);
      await turn();
    }
  })();
  try { return await body(link); } finally { over = true; await swapper; }
}

/** Many spawns at once: those that were made have ended and written one of `said`; the others were refused so. */
async function many(d, spec, said) {
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask(d, spec)));
  const texts = new Set();
  for (const answer of answers) {
    if (answer.status === 201) {
      await d.join(answer.body.id);
      texts.add(await d.logsText(answer.body.id));
    } else {
      assert.ok(answer.status === 403 ? answer.body.code === 'spawn_denied' : answer.body.errno === 'EACCES', `${answer}`);
    }
  }
  for (const text of texts) assert.ok(said.includes(text), JSON.stringify(text));
  return answers;
}

suite('what is executed', () => {
  daemonTest('is swapped between the check and the exec', { config }, async (d) => {
    await swapping('tool', `${good}/tool`, `${evil}/tool`, async (link) => {
      const seen = new Set();
      await until('some were made and some refused', async () => {
        for (const one of await many(d, { argv: [link, '/x/y'], cwd: good }, ['y\n'])) seen.add(one.status);
        return seen.has(201) && seen.size > 1;
      });
    });
    await swapping('script', `${good}/script`, `${evil}/script`, (link) => many(d, { argv: [link], cwd: good }, ['good\n']));
    await swapping('directory', good, evil, (link) => many(d, { argv: [`${link}/script`], cwd: good }, ['good\n']));
    await swapping('path', good, evil, (link) => many(d, { argv: ['script'], cwd: good, env: { PATH: link } }, ['good\n']));
    await answersSoon(d);
  });

  daemonTest('is reached through a directory that is swapped', { config }, async (d) => {
    await swapping('cwd', good, evil, (link) => many(d, { argv: ['./script'], cwd: link }, ['good\n']));
    await swapping('cwd2', good, evil, (link) => many(d, { argv: [`${good}/tool`, '/x/y'], cwd: link }, ['y\n']));
  });

  daemonTest('lies elsewhere than its path says', { config }, async (d) => {
    symlinkSync(evil, path.join(good, 'away'));
    for (const argv of [[`${good}/../evil/script`], [`${good}/away/script`], ['./away/script'], ['../evil/script'], [`/proc/self/root${evil}/script`], [`/proc/self/cwd/../evil/script`], [`${good}/../../../../../bin/sh`], ['sh'], [`${good}-evil/x`]]) {
      const answer = await ask(d, { argv, cwd: good });
      assert.ok(answer.status === 403 || answer.body.errno === 'ENOENT', `${argv}: ${answer}`);
    }
    for (const cwd of [`${good}/..`, `${good}/away`, `${good}/away/../evil`, `/proc/self/root/tmp`, '/proc/self/cwd', '//', `${evil}/../good/../evil`]) {
      problem(await ask(d, { argv: [`${good}/script`], cwd }), 403, 'spawn_denied');
    }
  });

  for (const [name, options] of [['is no program', {}], ['is no program, under a policy', { config: 'spawn.executables = /\nspawn.directories = /\n' }]]) {
    daemonTest(name, options, async (d) => {
      const line = path.join(room, 'a\nb');
      writeFileSync(line, '#!/bin/sh\necho odd\n', { mode: 0o755 });
      writeFileSync(path.join(good, 'plain'), 'echo plain\n', { mode: 0o755 });
      writeFileSync(path.join(good, 'lost'), '#!/no/such/interpreter\n', { mode: 0o755 });
      writeFileSync(path.join(good, 'unmarked'), '#!/bin/sh\n', { mode: 0o644 });
      for (const [argv, errno] of [[['/'], 'EACCES'], [['.'], null], [['..'], null], [['./'], 'EACCES'], [['/dev/null'], 'EACCES'], [['/dev/zero'], 'EACCES'], [['/etc/passwd'], 'EACCES'], [[`${good}/unmarked`], 'EACCES'],
        [[`${good}/plain`], 'ENOEXEC'], [[`${good}/lost`], 'ENOENT'], [['../../../../../../nowhere'], 'ENOENT'], [['\n'], null], [[' '], null], [['/etc/passwd/x'], 'ENOTDIR'], [['x'.repeat(300)], null], [['/'.repeat(5000)], 'ENAMETOOLONG']]) {
        const body = problem(await ask(d, { argv, cwd: '/tmp' }), 422, 'spawn_failed');
        if (errno) assert.equal(body.errno, errno, JSON.stringify(argv)); // null: that depends on PATH
      }
      const odd = await d.run({ argv: [line], cwd: '/tmp' });
      assert.equal(await d.logsText(odd.id), 'odd\n');
      await answersSoon(d);
    });
  }
});

suite('what it is given', () => {
  daemonTest('is an environment that preloads, or is none', { config: 'spawn.env_deny = LD_*\n' }, async (d) => {
    for (const key of ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'LD_']) problem(await ask(d, { argv: ['true'], env: { [key]: '/tmp/x.so' } }), 403, 'spawn_denied');
    for (const env of [{ '=x': '1' }, { '': '1' }, { 'a=b': '1' }, { 'LD_PRELOAD=': '1' }, { 'a\0b': '1' }, { a: 'b\0LD_PRELOAD=x' }, { a: 1 }, { a: null, b: [] }, ['a=b'], 'a=b']) {
      const answer = await ask(d, { argv: ['true'], env });
      assert.ok([400, 422].includes(answer.status), `${JSON.stringify(env)}: ${answer}`);
    }
    const doubled = await d.call('POST', '/v1/processes', { body: '{"argv":["true"],"env":{"A":"1","A":"2"}}', headers: { 'Content-Type': 'application/json' } });
    assert.ok([400, 422].includes(doubled.status), `${doubled}`);
    const { id } = await d.run({ shell: 'env', env: { ld_preload: 'x', A: 'LD_PRELOAD=1' }, clear_env: true });
    assert.ok(!/^LD_/m.test(await d.logsText(id)));
  });

  daemonTest('is more than an exec takes', async (d) => {
    const env = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`V${i}`, 'x'.repeat(100000)]));
    for (const spec of [{ argv: ['true'], env: env(30) }, { argv: ['true', ...Array.from({ length: 30 }, () => 'y'.repeat(100000))] }]) {
      assert.equal(problem(await ask(d, spec), 422, 'spawn_failed').errno, 'E2BIG');
    }
    problem(await ask(d, { argv: ['true'], env: env(200) }), 413, 'payload_too_large');
    for (const argv of [[], [''], ['a\0b'], ['true', '\0'], [1], [null], [['true']], 'true', {}, Array.from({ length: 5000 }, () => 'true')]) {
      const answer = await ask(d, { argv });
      assert.ok([400, 422].includes(answer.status), `${JSON.stringify(argv)}: ${answer}`);
    }
    for (const name of ['a\nb', '\r', 'a\u001b[2J', '\u0085', '', 'x'.repeat(300)]) problem(await ask(d, { argv: ['true'], name }), 422);
    exitedWith(await d.run({ argv: ['true'] }), 0);
    await answersSoon(d);
  });
});

suite('as whom it runs', () => {
  asRoot('is somebody forbidden or unknown, by name, number and detour', { config: 'spawn.users = nobody\n' }, async (d) => {
    for (const more of [{}, { user: 'root' }, { user: 0 }, { user: null }, { user: 'daemon' }, { user: 1 }, { user: 4294967294 }, { user: 'nobody', group: 0 }, { user: 'nobody', group: 'shadow' }, { group: 'nogroup' }]) {
      problem(await ask(d, { argv: ['id'], cwd: '/', ...more }), 403, 'spawn_denied');
      problem(await d.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['id'], cwd: '/', ...more } } }), 403, 'spawn_denied');
    }
    for (const user of ['no-such-user', 'root ', 'nobody\n', '', -1, 1.5, 4294967295, ['root']]) {
      const answer = await ask(d, { argv: ['id'], cwd: '/', user });
      assert.ok([403, 422].includes(answer.status), `${JSON.stringify(user)}: ${answer}`);
    }
    const one = await liver(d, { user: 'nobody', cwd: '/' });
    problem(await one.client.call('POST', '/v1/processes', { body: { argv: ['id'], cwd: '/', user: 'root' } }), 403, 'forbidden');
  });

  asRoot('is another user, who has no group, capability or way back', { config: 'spawn.allow_new_privs = true\n' }, async (d) => {
    const file = path.join(room, 'way-back');
    copyFileSync('/usr/bin/cat', file);
    chmodSync(file, 0o4755);
    const { id } = await d.run({ argv: [file, '/proc/self/status'], user: 'nobody', cwd: '/' });
    const told = await d.logsText(id);
    const field = (name) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(told)[1].trim().split(/\s+/);
    assert.deepEqual(field('Uid'), Array(4).fill('65534'));
    assert.deepEqual(field('Gid'), Array(4).fill('65534'));
    assert.deepEqual(field('Groups'), ['65534']);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.deepEqual(field(set), ['0000000000000000'], set);
    assert.deepEqual(field('NoNewPrivs'), ['1']);
  });
});
