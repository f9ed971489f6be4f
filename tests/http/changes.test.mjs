// The life-cycle feed: every change once, in order, never missing and never too early.
import assert from 'node:assert/strict';
import { daemonTest, PATIENCE, suite, soon, until } from '../lib/daemon.mjs';
import { range } from '../lib/check.mjs';
import { take } from '../lib/streams.mjs';

const page = async (d, query = '') => (await d.get(`/v1/changes${query}`)).body;
const types = (items) => items.map((one) => one.type);

suite('changes', () => {
  daemonTest('tell the whole life of a process, in order', async (d) => {
    const { id } = await d.run({ shell: 'exit 3' });
    const { items } = await page(d, `?ref=${id}`);
    const life = types(items).filter((one) => one !== 'process.output_closed');
    assert.deepEqual(life, ['process.created', 'process.started', 'process.exited']);
    const exited = items.find((one) => one.type === 'process.exited');
    assert.equal(exited.data.exitcode, 3);
    assert.ok(items.every((one, i) => one.ref === id && (i === 0 || one.seq > items[i - 1].seq)));
    await d.delete(`/v1/processes/${id}`);
    assert.equal((await page(d, `?ref=${id}&type=process.deleted`)).items.length, 1);
  });

  daemonTest('tell of stops, failures and sessions', async (d) => {
    const stopped = await d.spawn({ argv: ['sleep', '1000'] });
    await d.post(`/v1/processes/${stopped.id}/stop`, { grace_seconds: 5 }, { expect: 202 });
    await d.join(stopped.id);
    assert.ok(types((await page(d, `?ref=${stopped.id}`)).items).includes('process.stopping'));
    const failed = await d.spawn({ argv: ['/no/such'], start: false });
    await d.post(`/v1/processes/${failed.id}/start`);
    assert.ok(types((await page(d, `?ref=${failed.id}`)).items).includes('process.failed'));
    const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
    await d.delete(`/v1/sessions/${session.id}`);
    assert.deepEqual(types((await page(d, `?ref=${session.id}`)).items), ['session.created', 'session.ended']);
  });

  daemonTest('are there no later than the answer that they belong to', async (d) => {
    for (let i = 0; i < 10; i += 1) {
      const { id } = await d.run({ argv: ['true'] });
      assert.equal((await page(d, `?ref=${id}&type=process.exited`)).items.length, 1);
    }
  });

  daemonTest('are filtered by type, one or several', async (d) => {
    await d.run({ argv: ['true'] });
    await d.run({ argv: ['true'] });
    assert.deepEqual(types((await page(d, '?type=process.exited')).items), ['process.exited', 'process.exited']);
    assert.deepEqual(new Set(types((await page(d, '?type=process.created,process.exited')).items)), new Set(['process.created', 'process.exited']));
    assert.deepEqual((await page(d, '?type=queue.made')).items, []);
  });

  daemonTest('asked for behind a number that was never given begin with a reset', async (d) => {
    await d.run({ argv: ['true'] });
    const all = (await page(d, '?limit=500')).items;
    const { items, next_after } = await page(d, '?limit=500&after=1000000');
    assert.equal(items[0].type, 'reset');
    assert.deepEqual(items[0].data, { after: 1000000, oldest_seq: all[0].seq });
    assert.deepEqual(items.slice(1), all);
    assert.equal(next_after, all.at(-1).seq);
    assert.deepEqual((await page(d, `?after=${next_after}`)).items, []);
    const stream = await d.stream('/v1/changes', { accept: 'text/event-stream', headers: { 'Last-Event-ID': '1000000' } });
    const events = await take(stream.events(), 2);
    assert.deepEqual(events.map((one) => one.event), ['reset', all[0].type]);
    assert.deepEqual((await page(d, '?limit=500&type=process.exited&after=1000000')).items.map((one) => one.type), ['reset', 'process.exited']);
  });

  daemonTest('go on after a number, page by page, and waiting brings the next', async (d) => {
    for (let i = 0; i < 5; i += 1) await d.run({ argv: ['true'] });
    const all = (await page(d, '?limit=500')).items;
    const seen = [];
    let after = 0;
    for (;;) {
      const body = await page(d, `?limit=4&after=${after}`);
      if (body.items.length === 0) break;
      seen.push(...body.items);
      after = body.next_after;
    }
    assert.deepEqual(seen, all);
    const waiting = page(d, `?after=${after}&wait=60`);
    const { id } = await d.spawn({ argv: ['true'], start: false });
    assert.equal((await waiting).items[0].ref, id);
  });

  daemonTest('follow as NDJSON and as an event stream, from the start or from a number', async (d) => {
    const first = await d.run({ argv: ['true'] });
    const lines = (await d.stream('/v1/changes?follow=true&type=process.exited', { accept: 'application/x-ndjson' })).records();
    const events = (await d.stream('/v1/changes?type=process.exited', { accept: 'text/event-stream' })).events();
    assert.equal((await soon(lines.next())).value.ref, first.id);
    const event = (await soon(events.next())).value;
    assert.deepEqual([event.event, event.data.ref, event.id], ['process.exited', first.id, String(event.data.seq)]);
    for (let i = 0; i < 5; i += 1) {
      const { id } = await d.run({ argv: ['true'] });
      assert.equal((await soon(lines.next())).value.ref, id);
      assert.equal((await soon(events.next())).value.data.ref, id);
    }
    await lines.return();
    await events.return();
  });

  daemonTest('have no hole and no repeat for one who comes back with Last-Event-ID', async (d) => {
    const wanted = [];
    const worker = (async () => {
      for (let i = 0; i < 60; i += 1) wanted.push((await d.run({ argv: ['true'] })).id);
    })();
    const seen = [];
    let last = '0';
    while (seen.length < 60) {
      const stream = await d.stream('/v1/changes?type=process.exited', { accept: 'text/event-stream', headers: { 'Last-Event-ID': last } });
      for (const one of await soon(take(stream.events(), Math.min(7, 60 - seen.length)), 'the next changes come', 60)) { seen.push(one.data.ref); last = one.id; }
    }
    await worker;
    assert.deepEqual(seen, wanted);
  });

  daemonTest('with a snapshot begin with all that lives, and go on behind it without a hole', async (d) => {
    const alive = await d.spawn({ argv: ['sleep', '1000'], name: 'alive' });
    const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
    await d.run({ argv: ['true'] });
    for (const where of ['/v1/queues/q', '/v1/locks/q']) await d.call('PUT', where, { body: {}, expect: 201 });
    const records = (await d.stream('/v1/changes?snapshot=true&follow=true', { accept: 'application/x-ndjson' })).records();
    const shown = new Map();
    const next = await d.spawn({ argv: ['true'], start: false });
    for (;;) {
      const { value } = await soon(records.next(), 'the snapshot ends and the change comes');
      if (value.type !== 'snapshot') {
        if (value.ref === next.id) { assert.equal(value.type, 'process.created'); break; }
        continue;
      }
      shown.set(value.ref, value.data);
    }
    assert.equal(shown.get(alive.id).name, 'alive');
    assert.equal(shown.get(alive.id).state, 'running');
    assert.ok(shown.has(session.id));
    assert.deepEqual([shown.get('queues/q').ready, shown.get('locks/q').reentrant], [0, false]);
    const locks = (await d.get('/v1/changes?snapshot=true&type=lock.created')).body.items;
    assert.deepEqual(locks.map((one) => [one.type, one.ref]), [['snapshot', 'locks/q']]);
    await records.return();
    assert.equal((await d.call('GET', '/v1/changes?snapshot=true&after=3')).status, 400);
  });

  daemonTest('keep their numbers over crashes and restarts', async (d) => {
    await d.run({ argv: ['true'] });
    const before = (await page(d, '?limit=500')).items;
    await d.killServer();
    assert.deepEqual((await page(d, '?limit=500')).items.slice(0, before.length), before);
    await d.restart();
    await d.run({ argv: ['true'] });
    const after = (await page(d, '?limit=500')).items;
    assert.deepEqual(after.slice(0, before.length), before);
    assert.ok(after.every((one, i) => i === 0 || one.seq > after[i - 1].seq));
    assert.ok(types(after).includes('daemon.started'));
    await until('the crash is told', () => types(after).includes('daemon.server_restarted'));
  });

  daemonTest('older than what is kept begin with a reset', { args: ['--feed-max-changes', '100'] }, async (d) => {
    for (let i = 0; i < 60; i += 1) await d.spawn({ argv: ['true'], start: false });
    for (const one of await d.list()) await d.delete(`/v1/processes/${one.id}`);
    const body = await until('old changes are gone', async () => {
      const answer = await page(d, '?after=1');
      return answer.items[0]?.type === 'reset' && answer;
    }, { within: PATIENCE * 2.5 }); // what is over comes round twice a minute
    assert.equal(types(body.items).filter((one) => one === 'reset').length, 1);
    assert.ok((await page(d, `?after=${body.items.at(-1).seq}`)).items.every((one) => one.type !== 'reset'));
  });

  daemonTest('a follower of a hundred runs sees each begin and end once', async (d) => {
    const stream = await d.stream('/v1/changes?follow=true&type=process.started,process.exited', { accept: 'application/x-ndjson' });
    const following = take(stream.records(), 200);
    await Promise.all(range(1, 10).map(async () => { for (let i = 0; i < 10; i += 1) await d.run({ argv: ['true'] }); }));
    const seen = await soon(following, 'all are seen', 60);
    const open = new Set();
    for (const one of seen) {
      if (one.type === 'process.started') { assert.ok(!open.has(one.ref)); open.add(one.ref); } else assert.ok(open.delete(one.ref));
    }
    assert.equal(open.size, 0);
  });
});
