// Idempotency-Key: a repeat gets the first answer and does nothing.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';

const key = (name) => ({ 'Idempotency-Key': name });
const spawn = (d, spec, name, options = {}) => d.call('POST', '/v1/processes', { body: spec, headers: key(name), ...options });

suite('a repeat with the same key', () => {
  daemonTest('replays the stored answer and makes no second process', async (d) => {
    const first = await spawn(d, { argv: ['sleep', '1000'] }, 'k1', { expect: 201 });
    assert.equal(first.headers['idempotency-replayed'], undefined);
    const second = await spawn(d, { argv: ['sleep', '1000'] }, 'k1', { expect: 201 });
    assert.equal(second.headers['idempotency-replayed'], 'true');
    assert.deepEqual(second.body, first.body);
    assert.equal(second.headers.location, first.headers.location);
    assert.equal((await d.list()).length, 1);
  });

  daemonTest('and another body is 422 idempotency_key_reused', async (d) => {
    await spawn(d, { argv: ['true'] }, 'k1', { expect: 201 });
    problem(await spawn(d, { argv: ['false'] }, 'k1'), 422, 'idempotency_key_reused');
    problem(await d.call('POST', '/v1/sessions', { body: {}, headers: key('k1') }), 422, 'idempotency_key_reused');
    assert.equal((await d.list()).length, 1);
  });

  daemonTest('sent many times at once makes one process', async (d) => {
    for (let round = 0; round < 5; round += 1) {
      const answers = await Promise.all(Array.from({ length: 12 }, () => spawn(d, { argv: ['sleep', '1000'], name: `round ${round}` }, `k${round}`)));
      for (const one of answers) assert.ok(one.status === 201 || (one.status === 409 && one.body.code === 'idempotency_in_progress'), `${one}`);
      const made = new Set(answers.filter((one) => one.status === 201).map((one) => one.body.id));
      assert.equal(made.size, 1);
      assert.equal((await d.get(`/v1/processes?name=round%20${round}`)).body.items.length, 1);
    }
  });

  daemonTest('after a crash of the server and after a restart gets the same answer', async (d) => {
    const first = await spawn(d, { argv: ['true'] }, 'k1', { expect: 201 });
    await d.killServer();
    const second = await spawn(d, { argv: ['true'] }, 'k1', { expect: 201 });
    assert.deepEqual([second.body.id, second.headers['idempotency-replayed']], [first.body.id, 'true']);
    await d.restart();
    const third = await spawn(d, { argv: ['true'] }, 'k1', { expect: 201 });
    assert.deepEqual([third.body.id, third.headers['idempotency-replayed']], [first.body.id, 'true']);
    assert.equal((await d.list()).length, 1);
  });

  daemonTest('of another caller is another request', async (d) => {
    const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
    const mine = await spawn(d, { argv: ['true'] }, 'shared', { expect: 201 });
    const theirs = await spawn(d, { argv: ['true'] }, 'shared', { token: session.token, expect: 201 });
    assert.notEqual(mine.body.id, theirs.body.id);
    assert.equal(theirs.headers['idempotency-replayed'], undefined);
  });

  daemonTest('works on every POST: stdin is written once, a session is made once', async (d) => {
    const { id } = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    for (let i = 0; i < 3; i += 1) {
      const { body } = await d.call('POST', `/v1/processes/${id}/stdin`, { raw: 'once\n', headers: key('s1'), expect: 202 });
      assert.equal(body.taken_bytes, 5);
    }
    await d.call('POST', `/v1/processes/${id}/stdin?eof=true`, { headers: key('s2'), expect: 202 });
    await d.join(id);
    assert.equal(await d.logsText(id), 'once\n');
    const sessions = [];
    for (let i = 0; i < 2; i += 1) sessions.push((await d.call('POST', '/v1/sessions', { body: {}, headers: key('t1'), expect: 201 })).body.id);
    assert.equal(sessions[0], sessions[1]);
  });

  daemonTest('of a signal sends it once', async (d) => {
    const { id } = await d.sh('trap "echo got" USR1; echo ready; while :; do sleep 0.02; done');
    await d.get(`/v1/processes/${id}/logs?wait=30`, { headers: { Accept: 'application/json' } });
    for (let i = 0; i < 3; i += 1) await d.call('POST', `/v1/processes/${id}/signal`, { body: { signal: 'USR1' }, headers: key('g1'), expect: 202 });
    await until('it has got the signal', async () => (await d.logsText(id)).includes('got'));
    await d.call('POST', `/v1/processes/${id}/stop`, { body: { grace_seconds: 5 }, headers: key('g2'), expect: 202 });
    await d.join(id);
    assert.equal(await d.logsText(id), 'ready\ngot\n');
  });

  daemonTest('that is too long or empty is 400', async (d) => {
    for (const bad of ['x'.repeat(256), '']) {
      const answer = await spawn(d, { argv: ['true'] }, bad);
      assert.equal(answer.status, 400, `${answer}`);
    }
    assert.equal((await spawn(d, { argv: ['true'] }, 'x'.repeat(255))).status, 201);
  });
});
