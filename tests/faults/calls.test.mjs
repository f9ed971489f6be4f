// System calls that fail in passing or do half of what was asked. No client and no child notices.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { admin } from '../attack/prober.mjs';
import { Clients } from './clients.mjs';
import { ends, faultyTest } from './faults.mjs';
import { sleep, soon, until } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';

const LINES = 3000;
const written = Array.from({ length: LINES }, (_, i) => `line ${i + 1} ${'x'.repeat(i % 90)}\n`).join('');

/** A process that gives back what is written to it, all that it writes followed meanwhile: the bytes must be the same. */
async function echo(d) {
  const { id } = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
  const stream = await d.stream(`/v1/processes/${id}/logs?follow=true`, { accept: 'application/octet-stream' });
  const followed = stream.bytes();
  await d.call('POST', `/v1/processes/${id}/stdin?eof=true&wait=20`, { raw: written, expect: [200, 202] });
  assert.equal((await d.join(id)).exitcode, 0);
  assert.equal((await soon(followed, 'the stream ends')).toString(), written);
  assert.equal(await d.logsText(id), written);
}

describe('calls', { concurrency: 2 }, () => {
  const faulty = {
    'are interrupted, one in ten': [['interrupt', 'EINTR', { per_mille: 100 }]],
    'are interrupted, one in two': [['interrupt', 'EINTR', { per_mille: 500 }]],
    'on pipes and files do a part of what was asked': [['short', 'EIO', { per_mille: 500 }]],
    'meet sockets with the smallest buffers': [['small_buffers', 'EIO', {}]],
    'meet all of that together': [['interrupt', 'EINTR', { per_mille: 200 }], ['short', 'EIO', { per_mille: 500 }], ['small_buffers', 'EIO', {}]],
  };
  for (const [what, settings] of Object.entries(faulty)) {
    faultyTest(what, { seconds: 90 }, async (d, faults) => {
      for (const [fault, error, how] of settings) faults.set(fault, error, how);
      d.admin.reconnect();
      const clients = await new Clients(d).begin();
      const watch = await admin(d);
      await echo(d);
      const page = await d.get('/openapi.json');
      assert.ok(page.bytes.length > 100000);
      await clients.advance();
      await watch.answered(what);
      for (const [fault] of settings) assert.ok(faults.clear(fault) > 0, `${fault} was met`);
      await clients.verify();
      assert.deepEqual(ends(d), { exits: [], crashes: [] });
    });
  }
});

describe('descriptors', { concurrency: 2 }, () => {
  for (const error of ['EMFILE', 'ENFILE']) {
    faultyTest(`for connections are out (${error}): who is there goes on, who comes waits until there are some`, async (d, faults) => {
      await d.system();
      faults.set('accept', error);
      const stranger = d.as(d.token); // a connection of its own
      const waiting = stranger.call('GET', '/v1/system');
      await until('he was not let in', () => faults.failed('accept') > 0);
      assert.equal((await d.system()).health, 'ok');
      faults.clear('accept');
      assert.equal((await waiting).status, 200);
      assert.deepEqual(ends(d), { exits: [], crashes: [] });
    });

    faultyTest(`for files are out (${error}): the clients are served, or told so`, { seconds: 90 }, async (d, faults) => {
      const clients = await new Clients(d).begin();
      faults.set('open', error);
      await sleep(1);
      for (const where of ['/v1/system', '/v1/processes', '/metrics', '/v1/waits']) {
        const answer = await d.call('GET', where);
        assert.ok(answer.status === 200 || [500, 503].includes(answer.status), `${answer}`);
      }
      const { id } = await d.spawn({ argv: ['sleep', '100'] });
      for (const what of ['tree', 'stats']) {
        const answer = await d.call('GET', `/v1/processes/${id}/${what}`);
        assert.ok([200, 500, 503].includes(answer.status), `${answer}`);
      }
      faults.clear('open');
      await clients.advance();
      await clients.verify();
      assert.deepEqual(ends(d), { exits: [], crashes: [] });
    });
  }
});

describe('chance', () => {
  faultyTest('cannot be had from the kernel: no secret and no id is made without it', async (d, faults) => {
    const first = await d.post('/v1/tokens', { scopes: ['read'] }, { expect: 201 });
    faults.set('random', 'ENOSYS');
    for (const [where, body] of [['/v1/tokens', { scopes: ['read'] }], ['/v1/sessions', { ttl_seconds: 60 }], ['/v1/processes', { argv: ['true'] }]]) {
      const answer = await d.call('POST', where, { body }).catch((error) => error);
      if (!(answer instanceof Error) && answer.status < 400) continue; // it has some in store
      if (!(answer instanceof Error)) problem(answer, 503);
    }
    faults.clear('random');
    const after = await d.call('POST', '/v1/tokens', { body: { scopes: ['read'] }, patient: 20, expect: 201 });
    const secrets = [first, after].map((one) => one.body.token.split('_').at(-1));
    assert.equal(new Set(secrets).size, 2);
    for (const one of secrets) assert.ok(new Set(one).size > 5, 'it is no constant');
    assert.deepEqual(ends(d).crashes, []);
  });
});
