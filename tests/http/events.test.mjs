// Events: a flag, the generation that counts its sets, and waiting.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { now } from '../lib/wait.mjs';

const make = async (d, name = 'e') => (await d.call('PUT', `/v1/events/${name}`, { expect: 201 })).body;
const state = async (d, name = 'e') => {
  const { body } = await d.get(`/v1/events/${name}`);
  return { set: body.set, generation: body.generation };
};
const act = async (d, verb, options = {}) => (await d.post(`/v1/events/e/${verb}`, undefined, { expect: 200, ...options })).body;
const wait = async (d, query = '', options = {}) => (await d.get(`/v1/events/e/wait${query}`, options)).body;
const waiting = (d, count) => until(`${count} wait`, async () => (await d.get('/v1/events/e')).body.waiters === count);

suite('an event', () => {
  daemonTest('is made once, listed and deleted, and begins not set', async (d) => {
    const made = await make(d);
    assert.deepEqual([made.name, made.kind, made.lifetime, made.durable, made.set, made.generation, made.waiters], ['e', 'event', 'permanent', true, false, 0, 0]);
    await d.call('PUT', '/v1/events/e', { body: {}, expect: 200 });
    assert.deepEqual((await d.get('/v1/events')).body.items.map((one) => one.name), ['e']);
    await d.delete('/v1/events/e');
    for (const path of ['', '/wait']) problem(await d.call('GET', `/v1/events/e${path}`), 404, 'not_found');
    problem(await d.post('/v1/events/e/set'), 404, 'not_found');
    problem(await d.call('PUT', '/v1/events/e', { body: { sett: true } }), 422, 'unknown_field');
    problem(await d.post('/v1/events/e/set', { x: 1 }), 422, 'unknown_field');
  });

  daemonTest('counts its sets, and neither a second set nor a clear', async (d) => {
    await make(d);
    assert.deepEqual(await act(d, 'clear'), { set: false, generation: 0 });
    assert.deepEqual(await act(d, 'set'), { set: true, generation: 1 });
    assert.deepEqual(await act(d, 'set'), { set: true, generation: 1 });
    assert.deepEqual(await act(d, 'clear'), { set: false, generation: 1 });
    assert.deepEqual(await act(d, 'set'), { set: true, generation: 2 });
    assert.deepEqual(await state(d), { set: true, generation: 2 });
  });

  daemonTest('answers a wait at once when it is set, and after the time with set false when it is not', async (d) => {
    await make(d);
    const begun = now();
    assert.deepEqual(await wait(d, '?wait=0.3'), { set: false, generation: 0 });
    assert.ok(now() - begun >= 0.29);
    assert.deepEqual(await wait(d, '?wait=0'), { set: false, generation: 0 });
    await act(d, 'set');
    assert.deepEqual(await wait(d), { set: true, generation: 1 });
  });

  daemonTest('wakes all who wait with one set', async (d) => {
    await make(d);
    const all = Array.from({ length: 40 }, () => wait(d, '?wait=20'));
    await waiting(d, 40);
    await act(d, 'set');
    for (const one of await Promise.all(all)) assert.deepEqual(one, { set: true, generation: 1 });
    await waiting(d, 0);
  });

  daemonTest('shows a pulse to who waits, and with after also to who comes later', async (d) => {
    await make(d);
    const one = wait(d, '?wait=20');
    const other = wait(d, '?wait=20&after=0');
    await waiting(d, 2);
    await Promise.all([act(d, 'set'), act(d, 'clear')]);
    assert.deepEqual([await one, await other], [{ set: true, generation: 1 }, { set: true, generation: 1 }]);
    assert.deepEqual(await wait(d, '?wait=20&after=0'), { set: false, generation: 1 });
    assert.deepEqual(await wait(d, '?wait=0.1&after=1'), { set: false, generation: 1 });
  });

  daemonTest('that is set lets wait for the next set by its generation', async (d) => {
    await make(d);
    await act(d, 'set');
    const next = wait(d, '?wait=20&after=1');
    await waiting(d, 1);
    await act(d, 'clear');
    await act(d, 'set');
    assert.deepEqual(await next, { set: true, generation: 2 });
    problem(await d.call('GET', '/v1/events/e/wait?after=x'), 400, 'invalid_parameter');
  });

  daemonTest('that is deleted tells all who wait', async (d) => {
    await make(d);
    const all = [d.call('GET', '/v1/events/e/wait'), d.call('GET', '/v1/events/e/wait?after=0')];
    await waiting(d, 2);
    await d.delete('/v1/events/e');
    for (const one of await Promise.all(all)) problem(one, 410, 'deleted');
  });

  daemonTest('forgets a client that has gone', async (d) => {
    await make(d);
    const gone = new AbortController();
    const call = d.call('GET', '/v1/events/e/wait', { signal: gone.signal }).catch((error) => error.name);
    await waiting(d, 1);
    gone.abort();
    assert.equal(await call, 'AbortError');
    await waiting(d, 0);
  });

  daemonTest('of an owner ends with it', async (d) => {
    const session = (await d.post('/v1/sessions', {}, { expect: 201 })).body;
    const made = await d.call('PUT', '/v1/events/e', { body: { lifetime: 'owner' }, token: session.token, expect: 201 });
    assert.equal(made.body.owner, session.id);
    const call = d.call('GET', '/v1/events/e/wait');
    await waiting(d, 1);
    await d.delete(`/v1/sessions/${session.id}`);
    problem(await call, 410, 'deleted');
  });

  daemonTest('keeps its state when the server is killed and when the daemon is started again', async (d) => {
    await make(d);
    await act(d, 'set');
    await act(d, 'clear');
    await act(d, 'set');
    await d.killServer();
    assert.deepEqual(await state(d), { set: true, generation: 2 });
    await act(d, 'clear');
    await d.restart();
    assert.deepEqual(await state(d), { set: false, generation: 2 });
    assert.deepEqual(await wait(d, '?after=1'), { set: false, generation: 2 });
  });

  daemonTest('is changed only while the hold of If-Hold is live', async (d) => {
    await make(d);
    await d.call('PUT', '/v1/locks/l', { expect: 201 });
    const hold = (await d.post('/v1/locks/l/acquire', {}, { expect: 200 })).body;
    const headers = { 'If-Hold': hold.id };
    await act(d, 'set', { headers });
    await d.post(`/v1/holds/${hold.id}/release`, undefined, { expect: 200 });
    problem(await d.post('/v1/events/e/clear', undefined, { headers }), 412, 'hold_ended');
    problem(await d.call('DELETE', '/v1/events/e', { headers }), 412, 'hold_ended');
    assert.deepEqual(await state(d), { set: true, generation: 1 });
  });

  daemonTest('is set once by a request that is repeated', async (d) => {
    await make(d);
    const headers = { 'Idempotency-Key': 'k' };
    await act(d, 'set', { headers });
    await act(d, 'clear');
    const again = await d.post('/v1/events/e/set', undefined, { headers, expect: 200 });
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.deepEqual(await state(d), { set: false, generation: 1 });
  });
});
