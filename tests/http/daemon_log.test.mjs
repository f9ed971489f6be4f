// The daemon's own log, in the manner of multiprocessing.log_to_stderr.
import assert from 'node:assert/strict';
import { daemonTest, suite, soon } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';

const page = async (d, query = '') => (await d.get(`/v1/log${query}`)).body;
const rank = { debug: 0, info: 1, warning: 2, error: 3 };

suite('the daemon\'s log', () => {
  daemonTest('tells of a process that it began and with what it ended', async (d) => {
    const { id } = await d.run({ argv: ['sh', '-c', 'echo own output; exit 3'], name: 'worker 1' });
    const { items } = await page(d, `?process=${id}`);
    assert.ok(items.every((one) => one.process === id && one.process_name === 'worker 1'));
    assert.deepEqual(items.map((one) => `${one.level}: ${one.text}`), ['info: child process calling sh', 'debug: process shutting down', 'info: process exiting with exitcode 3']);
  });

  daemonTest('is filtered by level, that one and graver', async (d) => {
    await d.run({ argv: ['true'] });
    for (const level of ['debug', 'info', 'warning', 'error']) {
      const { items } = await page(d, `?level=${level}`);
      assert.ok(items.every((one) => rank[one.level] >= rank[level]));
      if (level === 'debug') assert.ok(items.some((one) => one.level === 'debug'));
    }
  });

  daemonTest('has its level, which can be changed while it runs', async (d) => {
    assert.equal((await d.get('/v1/log/level')).body.level, 'debug');
    await d.run({ argv: ['true'] });
    assert.ok((await page(d)).items.some((one) => one.level === 'debug'));
    assert.equal((await d.call('PUT', '/v1/log/level', { body: { level: 'info' }, expect: 200 })).body.level, 'info');
    const { id } = await d.run({ argv: ['true'] });
    const { items } = await page(d, `?process=${id}`);
    assert.deepEqual(items.map((one) => one.level), ['info', 'info']);
    assert.equal((await d.call('PUT', '/v1/log/level', { body: { level: 'error' }, expect: 200 })).body.level, 'error');
    const before = (await page(d, '?limit=500')).items.length;
    await d.run({ argv: ['true'] });
    assert.equal((await page(d, '?limit=500')).items.length, before);
    for (const body of [{ level: 'loud' }, {}, { level: 'info', more: 1 }, { level: 3 }]) assert.equal((await d.call('PUT', '/v1/log/level', { body })).status, 422);
    assert.equal((await d.get('/v1/log/level')).body.level, 'error');
  });

  daemonTest('keeps its level when the server is killed or upgraded, and forgets it with the daemon', async (d) => {
    const level = async () => (await d.get('/v1/log/level')).body.level;
    await d.call('PUT', '/v1/log/level', { body: { level: 'error' }, expect: 200 });
    await d.killServer();
    assert.equal(await level(), 'error');
    await d.killKeeper();
    assert.equal(await level(), 'error');
    const { server_pid } = await d.system();
    await d.post('/v1/upgrade', undefined, { expect: 202 });
    d.admin.reconnect();
    await d.otherServer(server_pid);
    assert.equal(await level(), 'error');
    await d.restart();
    assert.equal(await level(), 'debug');
    await d.killServer();
    assert.equal(await level(), 'debug');
  });

  daemonTest('goes on after a number, and can be followed', async (d) => {
    await d.run({ argv: ['true'] });
    const first = await page(d, '?limit=2');
    assert.equal(first.items.length, 2);
    const second = await page(d, `?limit=500&after=${first.next_after}`);
    assert.ok(second.items[0].seq > first.items[1].seq);
    const records = (await d.stream(`/v1/log?follow=true&after=${second.next_after}`, { accept: 'application/x-ndjson' })).records();
    const next = records.next();
    const { id } = await d.run({ argv: ['true'] });
    assert.equal((await soon(next)).value.process, id);
    await records.return();
  });

  daemonTest('is still there after a crash and a restart', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    const before = (await page(d, `?process=${id}`)).items;
    await d.killServer();
    await d.restart();
    assert.deepEqual((await page(d, `?process=${id}`)).items, before);
  });

  daemonTest('holds a name with a newline or escape as one record', async (d) => {
    const { id } = await d.run({ argv: ['sh', '-c', 'exit 1', '\u001b[31mred\n2026 forged entry'], name: 'x "quoted" \\ end' });
    const { items } = await page(d, `?process=${id}`);
    assert.ok(items.every((one) => one.process_name === 'x "quoted" \\ end'));
    assert.equal(items.filter((one) => /exitcode/.test(one.text)).length, 1);
  });

  daemonTest('of an unknown process is empty, of an unknown level 400', async (d) => {
    assert.deepEqual((await page(d, '?process=p_01jd8m3q7v0x4t5k6n7p8q9r0s')).items, []);
    problem(await d.call('GET', '/v1/log?level=all'), 400, 'invalid_parameter');
  });
});
