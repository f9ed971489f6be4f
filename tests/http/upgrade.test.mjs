// POST /v1/upgrade: another binary in the same process, and no child, listener or byte is lost.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdtempSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, Daemon, daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem, range } from '../lib/check.mjs';
import { alive, stat } from '../lib/proc.mjs';

/** Runs body(d, own, replace) with a daemon of a copy of the binary at `own`; replace() puts another file there. */
async function withOwnBinary(body) {
  const dir = mkdtempSync(path.join(tmpdir(), 'forkful-test-bin-'));
  const own = path.join(dir, 'forkful');
  const replace = (put = (name) => copyFileSync(BINARY, name)) => {
    put(`${own}.new`);
    renameSync(`${own}.new`, own);
  };
  replace();
  const d = new Daemon({ bin: own });
  try {
    await d.start();
    await body(d, own, replace);
    await d.stop();
  } finally {
    d.sweep();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function upgrade(d) {
  const before = await d.system();
  const { body } = await d.post('/v1/upgrade', undefined, { expect: 202 });
  assert.equal(body.state, 'upgrading');
  d.admin.reconnect();
  return d.otherServer(before.server_pid);
}

suite('an upgrade', () => {
  daemonTest('keeps the pid, the address, the children and every byte', async (d) => {
    const before = await d.system();
    const lines = await d.sh('i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; sleep 0.01; done; exit 7');
    const reader = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    await d.call('POST', `/v1/processes/${reader.id}/stdin`, { raw: 'one ', expect: 202 });
    for (let i = 0; i < 3; i += 1) {
      const after = await upgrade(d);
      assert.equal(after.keeper_pid, before.keeper_pid);
      assert.equal(stat(lines.pid).ppid, before.keeper_pid);
    }
    await d.call('POST', `/v1/processes/${reader.id}/stdin?eof=true`, { raw: 'two', expect: 202 });
    exitedWith(await d.join(reader.id), 0);
    assert.equal(await d.logsText(reader.id), 'one two');
    exitedWith(await d.join(lines.id), 7);
    assert.equal(await d.logsText(lines.id), range(1, 300).map((i) => `line ${i}\n`).join(''));
    assert.equal((await d.unix.call('GET', '/v1/system')).status, 200);
  });

  test('is one of the server too: it runs the new file, not the one that was there before', () => withOwnBinary(async (d, own, replace) => {
    for (let i = 0; i < 2; i += 1) {
      replace();
      const { server_pid } = await upgrade(d);
      assert.equal(readlinkSync(`/proc/${server_pid}/exe`), own);
    }
    await d.killServer();
    assert.equal(readlinkSync(`/proc/${(await d.system()).server_pid}/exe`), own);
  }));

  daemonTest('keeps deadlines: a stop and a timeout begun before still end', async (d) => {
    const stubborn = 'trap "" TERM; echo ready; while :; do sleep 1000; done';
    const stopped = await d.sh(stubborn);
    const timed = await d.sh(stubborn, { timeout_seconds: 1.5, stop: { grace_seconds: 0.3 } });
    for (const { id } of [stopped, timed]) await until('it is ready', async () => (await d.logsText(id)) === 'ready\n');
    await d.post(`/v1/processes/${stopped.id}/stop`, { grace_seconds: 1.5 }, { expect: 202 });
    await upgrade(d);
    assert.deepEqual((await d.join(stopped.id)).exit.reason, 'stopped');
    assert.deepEqual((await d.join(timed.id)).exit.reason, 'timeout');
  });

  daemonTest('while requests go on makes none of them wrong', async (d) => {
    let done = false;
    const made = [];
    const worker = (async () => {
      for (let i = 0; !done; i += 1) {
        const { body } = await d.call('POST', '/v1/processes', { body: { shell: `exit ${i % 200}` }, patient: 60, expect: 201 });
        made.push([body.id, i % 200]);
      }
    })();
    for (let i = 0; i < 4; i += 1) {
      await until('something was made', () => made.length > i * 5);
      const { server_pid } = await d.system({ patient: 60 });
      await d.call('POST', '/v1/upgrade', { patient: 60, expect: 202 });
      await d.otherServer(server_pid);
    }
    done = true;
    await worker;
    assert.equal(new Set(made.map(([id]) => id)).size, made.length);
    for (const [id, code] of made) exitedWith(await d.join(id), code);
    assert.equal((await d.list()).length, made.length);
  });

  test('to a binary that does not pass its check is 422, and the old one goes on', () => withOwnBinary(async (d, own, replace) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    for (const content of ['#!/bin/sh\nexit 1\n', 'no program', '']) {
      replace((name) => { writeFileSync(name, content); chmodSync(name, 0o755); });
      problem(await d.post('/v1/upgrade'), 422, 'upgrade_failed');
    }
    const { server_pid } = await d.system();
    replace();
    await d.post('/v1/upgrade', undefined, { expect: 202 });
    await d.otherServer(server_pid);
    assert.equal((await d.process(id)).alive, true);
  }));

  daemonTest('with a configuration that cannot be taken is 422, and the old server goes on', { config: 'max_processes = 7\n' }, async (d) => {
    const { server_pid } = await d.system();
    const file = path.join(d.dir, 'forkful.conf');
    writeFileSync(file, 'max_processes = many\n');
    const { detail } = problem(await d.post('/v1/upgrade'), 422, 'upgrade_failed');
    assert.match(detail, /forkful\.conf:1: max_processes: .*"many"/);
    rmSync(file);
    problem(await d.post('/v1/upgrade'), 422, 'upgrade_failed');
    assert.equal((await d.system()).server_pid, server_pid);
    writeFileSync(file, 'max_processes = 8\n');
    await upgrade(d);
    assert.equal((await d.system()).limits.max_processes, 8);
  });

  daemonTest('breaks off the streams that are not at their end, so that nobody takes them for whole', async (d) => {
    const { id } = await d.sh('echo one; exec sleep 1000');
    for (const [accept, where] of [
      ['text/plain', `/v1/processes/${id}/logs?follow=true`], ['application/x-ndjson', `/v1/processes/${id}/logs?follow=true`],
      ['application/x-ndjson', '/v1/changes?follow=true'], ['text/event-stream', '/v1/changes'],
    ]) {
      const stream = await d.stream(where, { accept });
      const reading = (async () => { for await (const piece of stream.pieces()) assert.ok(piece); })();
      const broken = assert.rejects(reading, { code: 'ECONNRESET' }, `${accept} ${where}`);
      await upgrade(d);
      await broken;
    }
  });

  daemonTest('ends a stream whose process has ended as ever, when the client reads on', async (d) => {
    const { id } = await d.sh('head -c 3000000 /dev/zero | tr "\\0" x');
    await d.join(id);
    const stream = await d.stream(`/v1/processes/${id}/logs?follow=true`, { accept: 'text/plain' });
    const { server_pid } = await d.system();
    await d.post('/v1/upgrade', undefined, { expect: 202 });
    let bytes = 0;
    for await (const piece of stream.pieces()) bytes += piece.length;
    assert.equal(bytes, 3000000);
    d.admin.reconnect();
    await d.otherServer(server_pid);
  });

  daemonTest('tells nobody to ask again whose call was done: each put is answered, or it was not made', async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    const answered = new Map();
    let over = false;
    const writers = range(1, 16).map(async (writer) => {
      for (let n = 0; !over; n += 1) {
        const body = `${writer} ${n}`;
        const answer = await d.call('POST', '/v1/queues/q/messages', { body }).catch(() => {});
        if (answer) answered.set(body, answer.status);
      }
    });
    for (let i = 0; i < 3; i += 1) await upgrade(d);
    over = true;
    await Promise.all(writers);
    const made = new Set();
    const take = async () => (await d.call('POST', '/v1/queues/q/receive?mode=take&max=1000', { expect: 200 })).body.messages;
    for (let some = await take(); some.length > 0; some = await take()) some.forEach((one) => made.add(one.body));
    for (const [body, status] of answered) assert.equal(made.has(body), status === 201, `${body} was told ${status}`);
  });

  daemonTest('answers parked calls 503 unavailable, to be asked again at once', async (d) => {
    const { id } = await d.sh('exec sleep 1000');
    const joining = d.call('GET', `/v1/processes/${id}/join?wait=60`);
    await until('it waits', async () => /http_parked_requests 1$/m.test((await d.unix.call('GET', '/metrics')).text));
    await d.unix.call('POST', '/v1/upgrade', { expect: 202 });
    const answer = await joining;
    const body = problem(answer, 503, 'unavailable');
    assert.match(body.detail, /upgrade/);
    assert.equal(answer.headers['retry-after'], '1');
  });

  daemonTest('ends followers in such a way that they can come back', async (d) => {
    const { id } = await d.sh('i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; sleep 0.01; done');
    const got = [];
    let ended = false;
    const follower = (async () => {
      while (!ended) {
        try {
          const stream = await d.stream(`/v1/processes/${id}/logs`, { accept: 'text/event-stream', headers: { 'Last-Event-ID': String(got.length) } });
          for await (const one of stream.events()) {
            if (one.event === 'end') ended = true;
            else got.push(Number(one.data.text));
          }
        } catch { await d.system({ patient: 30 }); }
      }
    })();
    await until('it goes on', () => got.length > 20);
    await upgrade(d);
    await follower;
    assert.deepEqual(got, range(1, 200));
    assert.ok(!alive((await d.process(id)).pid));
  });
});
