// The token of a process is the process: what it makes is its own, what is not it may only read, and it dies with it.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, problem } from '../lib/check.mjs';
import { half } from '../lib/raw.mjs';
import { soon } from '../lib/wait.mjs';

/** A process that tells its token and lives; { record, client }. */
async function speaker(d, more = {}, options = {}) {
  const record = await d.sh('echo $FORKFUL_TOKEN; exec sleep 1000', more, options);
  const token = await until('it has told', async () => (await d.logsText(record.id)).trim());
  return { ...record, token, client: d.as(token) };
}

suite('a process with its token', () => {
  daemonTest('is me', async (d) => {
    const one = await speaker(d);
    assert.equal((await one.client.call('GET', '/v1/processes/me', { expect: 200 })).body.id, one.id);
    assert.equal((await d.unix.call('GET', '/v1/processes/me', { token: one.token, expect: 200 })).body.id, one.id);
    problem(await d.call('GET', '/v1/processes/me'), 404, 'not_found');
  });

  daemonTest('is the parent of what it makes, and may end it', async (d) => {
    const one = await speaker(d);
    const child = (await one.client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'] }, expect: 201 })).body;
    assert.equal(child.parent, one.id);
    assert.deepEqual((await d.get(`/v1/processes?parent=${one.id}`)).body.items.map((item) => item.id), [child.id]);
    await one.client.call('POST', `/v1/processes/${child.id}/terminate`, { expect: 200 });
    killedBy((await one.client.call('GET', `/v1/processes/${child.id}/join?wait=30`, { expect: 200 })).body, 15, 'SIGTERM');
    await one.client.call('DELETE', `/v1/processes/${child.id}`, { expect: 204 });
  });

  daemonTest('reaches what its own children made', async (d) => {
    const one = await speaker(d);
    const child = await speaker(d, {}, { token: one.token });
    const grandchild = (await child.client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'] }, expect: 201 })).body;
    assert.equal(grandchild.parent, child.id);
    await one.client.call('POST', `/v1/processes/${grandchild.id}/kill`, { expect: 200 });
    killedBy(await d.join(grandchild.id), 9, 'SIGKILL');
  });

  daemonTest('may not touch what is not its own, nor administer the daemon', async (d) => {
    const one = await speaker(d);
    const foreign = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    for (const [method, where, body] of [['POST', `/v1/processes/${foreign.id}/kill`], ['POST', `/v1/processes/${foreign.id}/terminate`],
      ['POST', `/v1/processes/${foreign.id}/stop`], ['POST', `/v1/processes/${foreign.id}/pause`], ['POST', `/v1/processes/${foreign.id}/signal`, { signal: 'TERM' }],
      ['POST', `/v1/processes/${foreign.id}/stdin`], ['DELETE', `/v1/processes/${foreign.id}?kill=true`], ['DELETE', `/v1/processes/${foreign.id}/logs?before=1`],
      ['POST', '/v1/sessions'], ['GET', '/v1/sessions'], ['POST', '/v1/shutdown'], ['POST', '/v1/upgrade'], ['PUT', '/v1/log/level', { level: 'debug' }]]) {
      problem(await one.client.call(method, where, { body }), 403, 'forbidden');
    }
    const many = await one.client.call('POST', '/v1/processes/actions', { body: { ids: [foreign.id], action: 'kill' }, expect: 200 });
    assert.equal(many.body.items[0].status, 403);
    for (const where of [`/v1/processes/${foreign.id}`, '/v1/processes', '/v1/system', '/v1/changes', '/v1/log', '/metrics']) await one.client.call('GET', where, { expect: 200 });
    const all = await one.client.call('POST', '/v1/processes/actions', { body: { filter: { state: ['running'] }, action: 'kill' }, expect: 200 });
    assert.deepEqual(all.body.items.map(({ id, status }) => [id, status]).sort(), [[foreign.id, 403], [one.id, 200]].sort());
    killedBy(await d.join(one.id), 9, 'SIGKILL');
    assert.equal((await d.process(foreign.id)).alive, true);
  });

  daemonTest('that is a daemon may make no processes', async (d) => {
    const one = await speaker(d, { daemon: true });
    problem(await one.client.call('POST', '/v1/processes', { body: { argv: ['true'] } }), 403, 'daemonic_parent');
    assert.equal((await d.list()).length, 1);
  });

  daemonTest('loses it at its end: then 401 owner_ended', async (d) => {
    const one = await speaker(d);
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    await d.join(one.id);
    problem(await one.client.call('GET', '/v1/processes/me'), 401, 'owner_ended');
    problem(await one.client.call('POST', '/v1/processes', { body: { argv: ['true'] } }), 401, 'owner_ended');
    await d.killServer();
    problem(await one.client.call('GET', '/v1/processes/me'), 401, 'owner_ended');
    await d.delete(`/v1/processes/${one.id}`);
    const answer = await one.client.call('GET', '/v1/processes/me');
    assert.equal(answer.status, 401, `${answer}`);
  });

  daemonTest('that ends while a body is on its way makes nothing', async (d) => {
    for (const deleted of [false, true]) {
      const one = await speaker(d);
      const call = await half(d, '/v1/processes', JSON.stringify({ argv: ['true'] }), one.token);
      await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
      await d.join(one.id);
      if (deleted) await d.delete(`/v1/processes/${one.id}`);
      call.send();
      await call.answered('HTTP/1.1 401 ');
      await call.answered('owner_ended');
      assert.equal((await d.list()).length, 1);
      call.end();
    }
  });

  daemonTest('that ends takes with it what its token follows and waits for', async (d) => {
    const one = await speaker(d);
    await d.call('PUT', '/v1/events/e', { body: {}, expect: 201 });
    const waits = one.client.call('GET', '/v1/events/e/wait?wait=100');
    const stream = await one.client.stream('/v1/changes?follow=true', { accept: 'application/x-ndjson' });
    const ended = stream.bytes();
    await until('it waits', async () => (await d.get('/v1/waits')).body.waits.length === 1);
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    problem(await waits, 401, 'owner_ended');
    await soon(ended.catch(() => {}), 'the stream ends');
  });

  daemonTest('keeps it over a crash of the server', async (d) => {
    const one = await speaker(d);
    await d.killServer();
    assert.equal((await d.as(one.token).call('GET', '/v1/processes/me', { expect: 200 })).body.id, one.id);
  });

  daemonTest('that ends takes its daemonic children with it and leaves the others', async (d) => {
    const one = await speaker(d);
    const daemonic = (await one.client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'], daemon: true }, expect: 201 })).body;
    const free = (await one.client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'] }, expect: 201 })).body;
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'parent_exit');
    assert.equal((await d.process(free.id)).alive, true);
  });

  daemonTest('of another process, cut or made up, is 401', async (d) => {
    const one = await speaker(d);
    const two = await speaker(d);
    const mixed = `fkp_${one.id.slice(2)}_${two.token.split('_')[2]}`;
    for (const token of [mixed, one.token.slice(0, -1), `${one.token}0`, one.token.replace(/^fkp_/, 'fks_'), one.token.replace(/^fkp_/, 'fkf_')]) {
      assert.equal((await d.call('GET', '/v1/system', { token })).status, 401, token);
    }
  });

  daemonTest('can do all this from inside, with nothing but its environment', async (d) => {
    const code = `
import json, os, urllib.request
def call(method, path, body=None):
    request = urllib.request.Request(os.environ["FORKFUL_URL"] + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + os.environ["FORKFUL_TOKEN"])
    request.add_header("Content-Type", "application/json")
    return json.load(urllib.request.urlopen(request))
me = call("GET", "/v1/processes/me")
child = call("POST", "/v1/processes", {"argv": ["sh", "-c", "exit 7"]})
done = call("GET", "/v1/processes/%s/join?wait=30" % child["id"])
print(me["id"] == os.environ["FORKFUL_PROCESS_ID"], me["name"] == os.environ["FORKFUL_PROCESS_NAME"], child["parent"] == me["id"], done["exitcode"])`;
    const { id } = await d.python(code);
    exitedWith(await d.join(id), 0);
    assert.equal(await d.logsText(id), 'True True True 7\n');
  });
});
