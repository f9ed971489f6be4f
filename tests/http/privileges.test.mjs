// What a process may give to those it makes: its own rights, never the daemon's. Needs a daemon of root's.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { stat } from '../lib/proc.mjs';

const root = process.getuid() === 0;
const asRoot = root ? daemonTest : (name) => daemonTest(`needs root: ${name}`, async () => {});
const NOBODY = 65534;

/** Real uid, gid and groups of a process as the kernel has them. */
function ids(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  const numbers = (key) => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(text)[1].trim().split(/\s+/).filter(Boolean).map(Number);
  return { uid: numbers('Uid')[0], gid: numbers('Gid')[0], groups: numbers('Groups').sort((a, b) => a - b) };
}

function nofile(pid) {
  const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'));
  return [Number(soft), Number(hard)];
}

async function maker(d, more) {
  const record = await d.sh('echo $FORKFUL_TOKEN; exec sleep 1000', { cwd: '/', ...more });
  const token = await until('it has told', async () => (await d.logsText(record.id)).trim());
  return { ...record, client: d.as(token) };
}

const sleeper = { argv: ['sleep', '1000'], cwd: '/' };
const make = async (one, more = {}) => (await one.client.call('POST', '/v1/processes', { body: { ...sleeper, ...more }, expect: 201 })).body;

suite('what a process makes', () => {
  asRoot('runs as its maker does, and so do its grandchildren', async (d) => {
    const one = await maker(d, { user: 'nobody' });
    const child = await make(one);
    assert.deepEqual(ids(child.pid), ids(one.pid));
    assert.equal(ids(child.pid).uid, NOBODY);
    const two = await maker(d, { user: NOBODY, group: 1 });
    assert.deepEqual(ids((await make(two)).pid), ids(two.pid));
    const speaker = (await one.client.call('POST', '/v1/processes', { body: { shell: 'echo $FORKFUL_TOKEN; exec sleep 1000', cwd: '/' }, expect: 201 })).body;
    const token = await until('it has told', async () => (await d.logsText(speaker.id)).trim());
    assert.equal(ids((await make({ client: d.as(token) })).pid).uid, NOBODY);
  });

  asRoot('cannot be another user\'s or group\'s, better placed or less limited', async (d) => {
    const one = await maker(d, { user: 'nobody', nice: 5, rlimits: { nofile: 500 } });
    const count = (await d.list()).length;
    for (const [more, ...places] of [[{ user: 'root' }, '/user'], [{ user: 0 }, '/user'], [{ group: 0 }, '/group'], [{ user: 'root', group: 'root', nice: 4 }, '/group', '/nice', '/user'],
      [{ nice: -1 }, '/nice'], [{ rlimits: { nofile: 501 } }, '/rlimits/nofile']]) {
      for (const start of [true, false]) {
        const body = problem(await one.client.call('POST', '/v1/processes', { body: { ...sleeper, ...more, start } }), 403, 'forbidden');
        assert.deepEqual(body.errors.map(({ pointer }) => pointer).sort(), places, JSON.stringify(more));
      }
    }
    assert.equal((await d.list()).length, count);
    const child = await make(one, { user: 'nobody', group: NOBODY, nice: 6, rlimits: { nofile: 400 } });
    assert.deepEqual([ids(child.pid).uid, stat(child.pid).nice, nofile(child.pid)], [NOBODY, 6, [400, 400]]);
    const heir = await make(one);
    assert.deepEqual([stat(heir.pid).nice, nofile(heir.pid)], [5, [500, 500]]);
  });

  asRoot('is bound when it is started later too, by anybody and after a crash', async (d) => {
    const one = await maker(d, { user: 'nobody' });
    const made = [];
    for (let i = 0; i < 3; i += 1) made.push((await one.client.call('POST', '/v1/processes', { body: { ...sleeper, start: false }, expect: 201 })).body.id);
    const started = async (client, id) => (await client.call('POST', `/v1/processes/${id}/start`, { expect: 200 })).body;
    assert.equal(ids((await started(one.client, made[0])).pid).uid, NOBODY);
    assert.equal(ids((await started(d.admin, made[1])).pid).uid, NOBODY);
    await d.killServer();
    assert.equal(ids((await started(d.admin, made[2])).pid).uid, NOBODY);
    assert.equal(ids((await make(one)).pid).uid, NOBODY);
    problem(await one.client.call('POST', '/v1/processes', { body: { ...sleeper, user: 'root' } }), 403, 'forbidden');
  });

  asRoot('is free when the maker is the daemon\'s user, or a session', async (d) => {
    const one = await maker(d, { nice: 3 });
    const child = await make(one, { user: 'nobody', nice: 0 });
    assert.deepEqual([ids(child.pid).uid, stat(child.pid).nice], [NOBODY, 0]);
    assert.equal(ids((await make(one)).pid).uid, 0);
    const session = (await d.post('/v1/sessions', { ttl_seconds: 60 }, { expect: 201 })).body;
    assert.equal(ids((await make({ client: d.as(session.token) }, { user: 'nobody' })).pid).uid, NOBODY);
  });
});
