// Sessions: owners that live as long as they are used.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, exitedWith, killedBy, problem, TIME } from '../lib/check.mjs';
import { alive } from '../lib/proc.mjs';
import { now, sleep } from '../lib/wait.mjs';

const begin = async (d, ttl_seconds = 30) => (await d.post('/v1/sessions', { ttl_seconds }, { expect: 201 })).body;

suite('a session', () => {
  daemonTest('has an id, a token shown once, and a time at which it expires', async (d) => {
    const answer = await d.post('/v1/sessions', { ttl_seconds: 40 }, { expect: 201 });
    const made = answer.body;
    assert.match(made.id, /^s_[0-9a-hjkmnp-tv-z]{26}$/);
    assert.match(made.token, new RegExp(`^fks_${made.id.slice(2)}_[0-9a-f]{64}$`));
    assert.match(made.expires_at, TIME);
    assert.ok(Math.abs(between(made.created_at, made.expires_at) - 40) < 1);
    assert.equal(answer.headers.location, `/v1/sessions/${made.id}`);
    const read = await d.get(`/v1/sessions/${made.id}`);
    assert.doesNotMatch(read.text, /fks_/);
    assert.deepEqual((await d.get('/v1/sessions')).body.items.map((one) => one.id), [made.id]);
    assert.equal((await d.post('/v1/sessions', undefined, { expect: 201 })).body.ttl_seconds, 30);
  });

  daemonTest('is the parent of what is made with its token', async (d) => {
    const session = await begin(d);
    const made = await d.spawn({ argv: ['sleep', '1000'] }, { token: session.token });
    assert.equal(made.parent, session.id);
    assert.equal((await d.get(`/v1/sessions/${session.id}`)).body.processes, 1);
    problem(await d.call('GET', '/v1/processes/me', { token: session.token }), 404, 'not_found');
  });

  daemonTest('that never was is 401 unauthorized, one that has ended owner_ended, also after a crash', async (d) => {
    const session = await begin(d, 30);
    const strange = `fks_01jd8m3q7v0x4t5k6n7p8q9r0s_${'0'.repeat(64)}`;
    problem(await d.call('GET', '/v1/system', { token: strange }), 401, 'unauthorized');
    problem(await d.call('GET', '/v1/system', { token: session.token.replace(/.$/, (c) => (c === '0' ? '1' : '0')) }), 401, 'unauthorized');
    await d.delete(`/v1/sessions/${session.id}`);
    problem(await d.call('GET', '/v1/system', { token: session.token }), 401, 'owner_ended');
    await d.killServer();
    problem(await d.call('GET', '/v1/system', { token: session.token }), 401, 'owner_ended');
    problem(await d.call('GET', '/v1/system', { token: strange }), 401, 'unauthorized');
    assert.deepEqual((await d.get('/v1/sessions')).body.items, []);
    problem(await d.call('GET', `/v1/sessions/${session.id}`), 404, 'not_found');
  });

  daemonTest('is not begun while the daemon ends', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    await d.post('/v1/shutdown', { wait_seconds: 60 }, { expect: 202 });
    problem(await d.post('/v1/sessions', {}), 503, 'shutting_down');
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    await until('the daemon has ended', () => !alive(d.pid));
    await d.start();
  });

  daemonTest('expires when it is not used, and its token is then 401 owner_ended', async (d) => {
    const session = await begin(d, 0.5);
    const daemonic = await d.spawn({ argv: ['sleep', '1000'], daemon: true }, { token: session.token });
    killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'parent_exit');
    problem(await d.call('GET', '/v1/system', { token: session.token }), 401, 'owner_ended');
    problem(await d.call('GET', `/v1/sessions/${session.id}`), 404, 'not_found');
    assert.deepEqual((await d.get('/v1/sessions')).body.items, []);
  });

  daemonTest('lives on as long as its token is used', async (d) => {
    const session = await begin(d, 2);
    const client = d.as(session.token);
    const begun = now();
    while (now() - begun < 5) {
      assert.equal((await client.call('GET', '/v1/system')).status, 200);
      await sleep(0.1);
    }
    const { body } = await client.call('GET', `/v1/sessions/${session.id}`, { expect: 200 });
    assert.ok(between(session.expires_at, body.expires_at) > 2.5, 'it was renewed');
  });

  daemonTest('lives while one of its calls waits, and from its end on for its time', async (d) => {
    const session = await begin(d, 1);
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const client = d.as(session.token);
    await client.call('GET', `/v1/processes/${id}/join?wait=2`, { expect: 200 });
    assert.equal((await client.call('GET', '/v1/system')).status, 200);
  });

  daemonTest('that ends takes its daemonic processes with it and no others', async (d) => {
    const session = await begin(d);
    const daemonic = await d.sh('echo Starting; sleep 1000; echo Exiting', { daemon: true }, { token: session.token });
    const free = await d.sh('read x; exit 0', { stdin: 'pipe' }, { token: session.token });
    const foreign = await d.spawn({ argv: ['sleep', '1000'], daemon: true });
    await until('it has begun', async () => (await d.logsText(daemonic.id)) === 'Starting\n');
    await d.delete(`/v1/sessions/${session.id}`);
    killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'parent_exit');
    assert.equal(await d.logsText(daemonic.id), 'Starting\n');
    assert.equal((await d.process(free.id)).state, 'running');
    assert.equal((await d.process(foreign.id)).state, 'running');
    await d.call('POST', `/v1/processes/${free.id}/stdin`, { raw: '\n', expect: 202 });
    exitedWith(await d.join(free.id), 0);
    problem(await d.call('GET', '/v1/system', { token: session.token }), 401, 'owner_ended');
    problem(await d.call('DELETE', `/v1/sessions/${session.id}`), 404, 'not_found');
  });

  daemonTest('ends a daemonic process that ignores SIGTERM by SIGKILL', async (d) => {
    const session = await begin(d);
    const { id } = await d.sh('trap "" TERM; echo ready; while :; do sleep 1000; done', { daemon: true, stop: { grace_seconds: 0.3 } }, { token: session.token });
    await until('it is ready', async () => (await d.logsText(id)) === 'ready\n');
    await d.delete(`/v1/sessions/${session.id}`);
    killedBy(await d.join(id), 9, 'SIGKILL', 'parent_exit');
  });

  daemonTest('may end itself, and reach only what it made', async (d) => {
    const mine = await begin(d);
    const other = await begin(d);
    const client = d.as(mine.token);
    const foreign = await d.spawn({ argv: ['sleep', '1000'] });
    const own = await d.spawn({ argv: ['sleep', '1000'] }, { token: mine.token });
    for (const [method, where, body] of [['POST', `/v1/processes/${foreign.id}/kill`], ['DELETE', `/v1/processes/${foreign.id}?kill=true`],
      ['POST', `/v1/processes/${foreign.id}/signal`, { signal: 'TERM' }], ['POST', `/v1/processes/${foreign.id}/stop`],
      ['DELETE', `/v1/sessions/${other.id}`], ['GET', `/v1/sessions/${other.id}`], ['GET', '/v1/sessions'], ['POST', '/v1/sessions'],
      ['POST', '/v1/shutdown'], ['POST', '/v1/upgrade'], ['PUT', '/v1/log/level', { level: 'debug' }]]) {
      problem(await client.call(method, where, { body }), 403, 'forbidden');
    }
    await client.call('POST', `/v1/processes/${own.id}/kill`, { expect: 200 });
    await client.call('GET', `/v1/processes/${foreign.id}`, { expect: 200 });
    await client.call('DELETE', `/v1/sessions/${mine.id}`, { expect: 204 });
    problem(await client.call('GET', '/v1/system'), 401, 'owner_ended');
    assert.equal((await d.process(foreign.id)).alive, true);
  });

  daemonTest('outlives a crash and a restart of the daemon, and expires afterwards all the same', async (d) => {
    const session = await begin(d, 600);
    const short = await begin(d, 1);
    const { id } = await d.spawn({ argv: ['sleep', '1000'], daemon: true }, { token: short.token });
    await d.killServer();
    assert.equal((await d.call('GET', '/v1/system', { token: session.token })).status, 200);
    killedBy(await d.join(id), 15, 'SIGTERM', 'parent_exit');
    await d.restart();
    assert.equal((await d.call('GET', '/v1/system', { token: session.token })).status, 200);
    problem(await d.call('GET', '/v1/system', { token: short.token }), 401, 'owner_ended');
  });

  daemonTest('with a bad ttl is 422', async (d) => {
    for (const ttl_seconds of [0, -1, '30', 86401]) assert.equal((await d.post('/v1/sessions', { ttl_seconds })).status, 422);
    assert.equal((await d.post('/v1/sessions', { ttl: 3 })).status, 422);
  });

  daemonTest('is listed in pages', async (d) => {
    const made = [];
    for (let i = 0; i < 5; i += 1) made.push((await begin(d)).id);
    const first = (await d.get('/v1/sessions?limit=3')).body;
    const rest = (await d.get(`/v1/sessions?limit=3&page_token=${encodeURIComponent(first.next_page_token)}`)).body;
    assert.deepEqual([...first.items, ...rest.items].map((one) => one.id), made);
    assert.equal(rest.next_page_token, null);
  });
});
