// If-Hold: a call that changes something is done only while the hold that it names lives.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
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

  daemonTest('that ends while a call waits ends the call: nothing is given, put or sent after it', async (d) => {
    for (const path of ['queues/empty', 'locks/held', 'pipes/p', 'pipes/full']) await d.call('PUT', `/v1/${path}`, { body: {}, expect: 201 });
    await d.call('PUT', '/v1/queues/full', { body: { max_messages: 1 }, expect: 201 });
    await d.call('PUT', '/v1/semaphores/none', { body: { value: 0 }, expect: 201 });
    await d.call('POST', '/v1/queues/full/messages', { body: 'first', expect: 201 });
    await d.call('POST', '/v1/pipes/full/a/send', { raw: 'x'.repeat(65536), expect: 200 });
    const other = (await d.post('/v1/locks/held/acquire', {}, { expect: 200 })).body.id;
    const hold = await grant(d);
    const calls = [
      ['queues/empty/receive'], ['queues/full/messages', 'late'], ['queues/full/batch', { messages: [{ body: 'late' }] }],
      ['locks/held/acquire', {}], ['semaphores/none/acquire', {}], ['pipes/p/b/recv'], ['pipes/full/a/send', 'late'],
    ].map(([path, body]) => d.call('POST', `/v1/${path}?wait=60`, { body, headers: { 'If-Hold': hold } }));
    const counts = async () => [
      (await d.get('/v1/queues/empty')).body.waiters, (await d.get('/v1/queues/full')).body.putters, (await d.get('/v1/locks/held')).body.waiters,
      (await d.get('/v1/semaphores/none')).body.waiters, (await d.get('/v1/pipes/p/b')).body.receivers, (await d.get('/v1/pipes/full/a')).body.senders,
    ];
    await until('all wait', async () => `${await counts()}` === '1,2,1,1,1,1');
    const unguarded = d.call('POST', '/v1/locks/held/acquire?wait=60', { body: {} });
    await until('one more waits', async () => `${await counts()}` === '1,2,2,1,1,1');
    await d.post(`/v1/holds/${hold}/release`, undefined, { expect: 200 });
    for (const answer of await Promise.all(calls)) assert.equal(problem(answer, 412, 'hold_ended').cause.hold, hold);
    assert.equal(`${await counts()}`, '0,0,1,0,0,0');
    await d.post(`/v1/holds/${other}/release`, undefined, { expect: 200 });
    assert.equal((await unguarded).status, 200);
  });

  daemonTest('that lives on is in nobody\'s way, and a call that is over before its end stays so', async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    const hold = await grant(d);
    const receive = (wait) => d.call('POST', `/v1/queues/q/receive?wait=${wait}`, { headers: { 'If-Hold': hold } });
    assert.deepEqual((await receive(0.05)).body.messages, []);
    const waiting = receive(60);
    await until('it waits', async () => (await d.get('/v1/queues/q')).body.waiters === 1);
    await d.call('POST', '/v1/queues/q/messages', { body: 1, expect: 201 });
    assert.equal((await waiting).body.messages[0].body, 1);
    await d.post(`/v1/holds/${hold}/release`, undefined, { expect: 200 });
    problem(await receive(60), 412, 'hold_ended');
  });
});
