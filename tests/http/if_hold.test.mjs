// If-Hold: a call that changes something is done only while the hold that it names lives.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { operations } from '../lib/operations.mjs';

async function grant(d) {
  await d.call('PUT', '/v1/locks/guard', { body: {}, expect: [200, 201] });
  return (await d.post('/v1/locks/guard/acquire', { ttl_seconds: 3600 }, { expect: 200 })).body.id;
}

suite('If-Hold', () => {
  daemonTest('of a hold that has ended, or never was, lets no operation change anything', async (d) => {
    const ended = await grant(d);
    await d.post(`/v1/holds/${ended}/release`, undefined, { expect: 200 });
    const changing = operations.filter(({ method }) => method !== 'GET');
    assert.ok(changing.length > 60);
    for (const { id, method, path, body, raw, headers } of changing) {
      const answer = await d.call(method, path, { body, raw, headers: { ...headers, 'If-Hold': ended } });
      assert.deepEqual([answer.status, answer.body?.code], [412, 'hold_ended'], `${id}: ${answer}`);
      assert.equal(answer.body.cause.hold, ended);
    }
    const guarded = { headers: { 'If-Hold': 'garbage' } };
    problem(await d.call('POST', '/v1/processes', { body: { argv: ['true'] }, ...guarded }), 412, 'hold_ended');
    problem(await d.call('POST', '/v1/sessions', { body: {}, ...guarded }), 412, 'hold_ended');
    assert.equal((await d.list()).length, 0);
    assert.equal((await d.get('/v1/sessions')).body.items.length, 0);
  });

  daemonTest('guards what is done to processes, and a repeat under its key is answered as the first was', async (d) => {
    const hold = await grant(d);
    const headers = { 'If-Hold': hold };
    const keyed = { body: { argv: ['sleep', '1000'] }, headers: { ...headers, 'Idempotency-Key': 'once' } };
    const { id } = (await d.call('POST', '/v1/processes', { ...keyed, expect: 201 })).body;
    await d.call('POST', `/v1/processes/${id}/signal`, { body: { signal: 'CONT' }, headers, expect: 202 });
    await d.call('DELETE', `/v1/holds/${hold}`, { expect: [200, 204] });
    problem(await d.call('POST', `/v1/processes/${id}/kill`, { headers }), 412, 'hold_ended');
    problem(await d.call('DELETE', `/v1/processes/${id}?kill=true`, { headers }), 412, 'hold_ended');
    assert.equal((await d.process(id)).alive, true);
    assert.equal((await d.call('POST', '/v1/processes', { ...keyed, expect: 201 })).body.id, id);
    assert.equal((await d.call('GET', `/v1/processes/${id}`, { headers })).status, 200);
  });
});
