// One thing done to many processes: POST /v1/processes/actions.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { exitedWith, faults, killedBy } from '../lib/check.mjs';

const act = (d, body, options) => d.post('/v1/processes/actions', body, options);
const statuses = (answer) => answer.body.items.map((one) => one.status);
const sleeper = { argv: ['sleep', '1000'] };

suite('actions', () => {
  daemonTest('by ids give one result each, in their order, and one that fails stops none', async (d) => {
    const one = await d.spawn(sleeper);
    const done = await d.run({ argv: ['true'] });
    const two = await d.spawn(sleeper);
    const missing = 'p_01jd8m3q7v0x4t5k6n7p8q9r0s';
    const answer = await act(d, { ids: [two.id, missing, done.id, one.id], action: 'stop', grace_seconds: 5 }, { expect: 200 });
    assert.deepEqual(answer.body.items.map((item) => item.id), [two.id, missing, done.id, one.id]);
    assert.deepEqual(statuses(answer), [202, 404, 409, 202]);
    assert.deepEqual(answer.body.items.map((item) => item.problem?.code ?? null), [null, 'not_found', 'not_running', null]);
    for (const { id } of [one, two]) assert.equal((await d.join(id)).exit.reason, 'stopped');
  });

  daemonTest('by filter reach those that fit and no others', async (d) => {
    const a = await d.spawn({ ...sleeper, labels: { team: 'a' } });
    const ab = await d.spawn({ ...sleeper, labels: { team: 'a', role: 'b' } });
    const other = await d.spawn({ ...sleeper, labels: { team: 'b' } });
    const ended = await d.run({ argv: ['true'], labels: { team: 'a' } });
    const answer = await act(d, { filter: { state: ['running'], label: { team: 'a' } }, action: 'kill' }, { expect: 200 });
    assert.deepEqual(answer.body.items.map((item) => item.id), [a.id, ab.id]);
    for (const { id } of [a, ab]) killedBy(await d.join(id), 9, 'SIGKILL');
    assert.equal((await d.process(other.id)).alive, true);
    exitedWith(await d.process(ended.id), 0);
    assert.equal((await act(d, { filter: { label: 'team' }, action: 'kill' })).status, 422);
    const term = await act(d, { filter: { label: 'team=b' }, action: 'kill' }, { expect: 200 }); // as the list has it
    assert.deepEqual(term.body.items.map((item) => item.id), [other.id]);
  });

  daemonTest('signal with the signal and scope given', async (d) => {
    const made = await Promise.all([1, 2, 3].map(() => d.spawn(sleeper)));
    assert.deepEqual(statuses(await act(d, { ids: made.map((one) => one.id), action: 'signal', signal: 'INT', scope: 'tree' })), [202, 202, 202]);
    for (const { id } of made) killedBy(await d.join(id), 2, 'SIGINT');
  });

  daemonTest('delete what has ended, and answer 409 for what lives', async (d) => {
    const done = await d.run({ argv: ['true'] });
    const alive = await d.spawn(sleeper);
    const answer = await act(d, { ids: [done.id, alive.id], action: 'delete' });
    assert.deepEqual(statuses(answer), [204, 409]);
    assert.deepEqual((await d.list()).map((one) => one.id), [alive.id]);
    await act(d, { filter: { state: 'exited' }, action: 'delete' }, { expect: 200 });
  });

  daemonTest('need ids or a filter, not both, and a known action', async (d) => {
    const { id } = await d.spawn(sleeper);
    for (const body of [{ action: 'kill' }, { ids: [id], filter: { state: ['running'] }, action: 'kill' }, { ids: [], action: 'kill' },
      { ids: [id], action: 'explode' }, { ids: [id] }, { filter: {}, action: 'kill' }, { filter: { state: ['dead'] }, action: 'kill' },
      { ids: [id], action: 'signal' }, { ids: [id], action: 'signal', signal: 'SIGX' }, { ids: id, action: 'kill' }, { ids: [id], action: 'kill', wait: 1 }]) {
      const answer = await act(d, body);
      assert.equal(answer.status, 422, `${JSON.stringify(body)}: ${answer}`);
    }
    assert.equal((await d.process(id)).alive, true);
    const all = await act(d, { filter: { state: 'dead', parent: 'nobody', name: '' }, action: 'explode', grace_seconds: -1 });
    assert.deepEqual(faults(all.body).map((one) => one.split(' ')[0]), ['/action', '/filter/name', '/filter/parent', '/filter/state', '/grace_seconds']);
  });

  daemonTest('on a hundred processes at once end them all', async (d) => {
    const made = [];
    for (let i = 0; i < 4; i += 1) made.push(...await Promise.all(Array.from({ length: 25 }, () => d.spawn({ ...sleeper, labels: { many: 'yes' } }))));
    const answer = await act(d, { filter: { label: { many: 'yes' } }, action: 'stop', grace_seconds: 5 }, { expect: 200 });
    assert.equal(answer.body.items.length, 100);
    for (const { id } of made) assert.equal((await d.join(id)).exit.reason, 'stopped');
    assert.equal((await act(d, { filter: { label: { many: 'yes' } }, action: 'delete' }, { expect: 200 })).body.items.length, 100);
    assert.deepEqual(await d.list(), []);
  });
});
