// Abuse of what is allowed: too many, too much, too slow. The limits hold, memory stays within bounds, and all the time
// an admin is answered within a second.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonTest, until } from '../lib/daemon.mjs';
import { liver } from '../lib/owners.mjs';
import { killedBy, problem, range } from '../lib/check.mjs';
import { attack, authority, connect, request } from './wire.mjs';
import { admin } from './prober.mjs';

const root = process.getuid() === 0;
const MB = 1 << 20;
const fds = (pid) => readdirSync(`/proc/${pid}/fd`).length;

/** Bytes of memory that are the process's own; what it maps of files is the kernel's to take back. */
function memory(pid) {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) * 1024;
}

/** The most memory that server and keeper had while `body` ran. */
async function mostMemory(d, body) {
  const { server_pid, keeper_pid } = await d.system();
  let most = 0;
  const timer = setInterval(() => { most = Math.max(most, memory(server_pid) + memory(keeper_pid)); }, 50);
  try {
    await body();
  } finally { clearInterval(timer); }
  return most;
}

/** One after another: each of them loads the machine, and is measured. */
const suite = (name, body) => describe(name, { concurrency: 1 }, body);

suite('children', () => {
  daemonTest('fork without end, under a limit of processes, and all of them are killed', async (d) => {
    const bomb = 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass';
    // The kernel counts by user and root is not bound: root's bombs are somebody else's.
    const mine = root ? { user: 54321, group: 54321, cwd: '/', rlimits: { nproc: 60 } } : { rlimits: { nproc: 200 } };
    const watch = await admin(d);
    const { id } = await d.python(bomb, { ...mine, nice: 5, stop: { grace_seconds: 0.1 } });
    await until('it has reached its limit', async () => (await d.process(id)).descendants >= (root ? 50 : 5));
    await sleep(1000);
    assert.ok((await d.process(id)).descendants <= 200);
    await d.post(`/v1/processes/${id}/stop`, { grace_seconds: 0 }, { expect: 202 });
    await d.join(id);
    await until('all of them are gone', async () => (await d.process(id)).descendants === 0);
    await watch.answered('a fork bomb');
  });

  daemonTest('make processes through the daemon without end', { config: 'max_processes = 40\n' }, async (d) => {
    const watch = await admin(d);
    const makers = await Promise.all(range(1, 3).map(() => liver(d)));
    const answers = await Promise.all(range(1, 300).map((i) => makers[i % 3].client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'] } })));
    for (const answer of answers.filter((one) => one.status !== 201)) problem(answer, 429, 'limit_reached');
    assert.equal(answers.filter((one) => one.status === 201).length, 37);
    await d.post(`/v1/processes/${makers[0].id}/kill`, undefined, { expect: 200 });
    await d.join(makers[0].id);
    await watch.answered('300 spawns at a limit of 40');
  });

  daemonTest('end as fast as they are made, and are made again', { config: 'retention.ended_count = 50\n' }, async (d) => {
    const watch = await admin(d);
    for (let round = 0; round < 10; round += 1) await Promise.all(range(1, 60).map(() => d.spawn({ argv: ['true'] })));
    await until('the oldest are forgotten', async () => (await d.list()).length <= 50);
    await watch.answered('600 processes that end at once');
  });
});

suite('output', () => {
  daemonTest('comes as fast as a pipe takes it, and no more than its share is kept', async (d) => {
    const watch = await admin(d);
    const most = await mostMemory(d, async () => {
      const made = await Promise.all(range(1, 3).map(() => d.spawn({ argv: ['yes', 'x'.repeat(200)], output: { max_bytes: 4 * MB }, timeout_seconds: 3 })));
      for (const { id } of made) {
        const done = await d.join(id);
        assert.ok(done.output.stdout_bytes > 8 * MB && done.output.dropped_bytes > 0, JSON.stringify(done.output));
        assert.ok((await d.logsBytes(id)).length <= 8 * MB, 'what is kept');
      }
    });
    assert.ok(most < 300 * MB, `${most / MB} MB`);
    await watch.answered('three floods of output');
  });

  daemonTest('is one line of 200 MB', async (d) => {
    const watch = await admin(d);
    let done;
    const most = await mostMemory(d, async () => {
      const { id } = await d.spawn({ shell: 'head -c 209715200 /dev/zero | tr "\\0" x', output: { max_bytes: 4 * MB } });
      done = await d.join(id, { within: 60 });
      const items = await d.logs(id, '?limit=3');
      for (const one of items.filter((item) => item.text)) assert.ok(one.text.length <= 65536 && one.partial === true);
    });
    assert.equal(done.output.stdout_bytes, 200 * MB);
    assert.ok(most < 300 * MB, `${most / MB} MB`);
    await watch.answered('an endless line');
  });

  daemonTest('is thirty million lines of nothing', async (d) => {
    const watch = await admin(d);
    const most = await mostMemory(d, async () => {
      const { id } = await d.spawn({ shell: 'yes "" | head -n 30000000' });
      assert.equal((await d.join(id, { within: 60 })).output.stdout_bytes, 30000000);
      const [last] = await until('the last one is stored', async () => { const items = await d.logs(id, '?tail=1'); return items[0]?.seq === 30000000 && items; });
      assert.equal(last.text, '');
    });
    assert.ok(most < 300 * MB, `${most / MB} MB`);
    await watch.answered('thirty million lines');
  });
});

suite('connections', () => {
  daemonTest('are thousands that say nothing', { seconds: 60 }, async (d) => {
    const { limits, server_pid } = await d.system();
    const count = Math.min(10000, limits.http_connections - 50, Math.floor(Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))[1]) / 2));
    const before = { fds: fds(server_pid), memory: memory(server_pid) };
    const watch = await admin(d);
    const crowd = range(1, count).map(() => connect(d));
    await Promise.all(crowd.map((one) => one.opened));
    await until('all are there', () => fds(server_pid) > before.fds + count * 0.99);
    assert.ok(memory(server_pid) - before.memory < count * 64 * 1024, 'less than 64 KiB for each');
    await watch.answered(`${count} idle connections`);
    for (const one of crowd) one.leave();
    await until('all are gone', () => fds(server_pid) <= before.fds + 5);
  });

  daemonTest('of strangers fill every place, again and again, and who has a token gets in', { args: ['--http-connections', '64'] }, async (d) => {
    const [friend, ...forms] = [request(d, 'GET /v1/system'), '', 'GET /healthz HTTP/1.1\r\nX-A: ', `GET /healthz HTTP/1.1\r\nHost: ${authority(d)}\r\n\r\n`, request(d, 'POST /v1/processes', 'Content-Length: 1000\r\nContent-Type: application/json\r\n', '{', { token: null }),
      `GET /openapi.json HTTP/1.1\r\nHost: ${authority(d)}\r\n\r\n`.repeat(20)];
    const kept = connect(d);
    kept.socket.write(friend);
    await until('the friend is there', () => kept.got.includes('\r\n\r\n'));
    let going = true;
    const lanes = range(1, 150).map(async (i) => {
      while (going) {
        const wire = connect(d);
        wire.socket.pause();
        wire.socket.write(forms[i % forms.length]);
        await Promise.race([wire.ended, until('it is over', () => !going, { within: 60, every: 0.05 })]);
        wire.leave();
      }
    });
    await sleep(1500);
    const [near, far] = await Promise.all([admin(d, { over: ['unix'] }), admin(d, { over: ['tcp'], within: 6 })]);
    await sleep(5000);
    await near.answered('150 strangers, over the Unix socket');
    await far.answered('150 strangers at 64 places', { calls: 2 });
    assert.equal(kept.closed, false, 'who has shown a token is left alone');
    going = false;
    await Promise.all(lanes);
    kept.leave();
  });

  daemonTest('carry a thousand requests at once, or are broken off while they wait', async (d) => {
    await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    await d.post('/v1/locks/l/acquire', {}, { expect: 200 });
    const { server_pid } = await d.system();
    const before = fds(server_pid);
    const watch = await admin(d);
    const last = request(d, 'GET /healthz', 'Connection: close\r\n');
    const seen = await attack(d, Buffer.concat([...Array(999).fill(request(d, 'GET /healthz')), last]));
    assert.deepEqual([seen.statuses.length, new Set(seen.statuses)], [1000, new Set([200])]);
    for (let round = 0; round < 3; round += 1) {
      const parked = range(1, 200).map(() => connect(d));
      for (const one of parked) one.socket.write(request(d, 'POST /v1/locks/l/acquire?wait=60', 'Content-Type: application/json\r\nContent-Length: 2\r\n', '{}'));
      await until('they wait', async () => (await d.get('/v1/locks/l')).body.waiters === 200);
      for (const one of parked) one.leave();
      await until('nobody waits', async () => (await d.get('/v1/locks/l')).body.waiters === 0);
    }
    await until('their descriptors are gone', () => fds(server_pid) <= before + 3);
    await watch.answered('pipelines and resets');
  });

  daemonTest('follow everything and read nothing', async (d) => {
    const watch = await admin(d);
    const { server_pid } = await d.system();
    const before = memory(server_pid);
    const { id } = await d.spawn({ argv: ['yes', 'x'.repeat(1000)], output: { max_bytes: 8 * MB } });
    const readers = ['application/x-ndjson', 'text/event-stream', 'text/plain'].flatMap((accept) => range(1, 50).map(() => {
      const wire = connect(d);
      wire.socket.pause();
      wire.socket.write(request(d, `GET /v1/processes/${id}/logs${accept === 'text/event-stream' ? '' : '?follow=true'}`, `Accept: ${accept}\r\n`));
      return wire;
    }));
    const feeds = range(1, 50).map(() => {
      const wire = connect(d);
      wire.socket.pause();
      wire.socket.write(request(d, 'GET /v1/changes', 'Accept: text/event-stream\r\n'));
      return wire;
    });
    for (let i = 0; i < 20; i += 1) await Promise.all(range(1, 20).map(() => d.spawn({ argv: ['true'], labels: { a: 'x'.repeat(200) } })));
    await sleep(1000);
    const grown = memory(server_pid) - before;
    assert.ok(grown < 200 * 256 * 1024 + 64 * MB, `${grown / MB} MB for 200 readers`);
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    killedBy(await d.join(id), 9, 'SIGKILL');
    for (const one of [...readers, ...feeds]) one.leave();
    await watch.answered('200 readers that do not read');
  });
});

suite('objects', () => {
  const KINDS = ['queues', 'queues', 'locks', 'values', 'events'];

  /** Makes `count` objects over one connection, many requests ahead of their answers; gives how many were made. */
  async function makeMany(d, from, count) {
    const wire = connect(d);
    let made = 0;
    wire.socket.removeAllListeners('data');
    wire.socket.on('data', (piece) => { made += piece.toString('latin1').split('HTTP/1.1 201').length - 1; });
    for (let i = from; i < from + count; i += 100) {
      const some = range(i, i + 99).map((n) => request(d, `PUT /v1/${KINDS[n % 5]}/o${n}`, 'Content-Type: application/json\r\nContent-Length: 2\r\n', '{}'));
      wire.socket.write(Buffer.concat(some));
      await until('most of them are made', () => made > i - from - 400 || wire.closed, { within: 120, every: 0.002 });
    }
    await until('all of them are made', () => made >= count - 1 || wire.closed, { within: 120 }); // a status line may be cut in two
    wire.leave();
  }

  daemonTest('are a hundred thousand, most of them queues', { config: 'max_objects = 100000\n', seconds: 180 }, async (d) => {
    const watch = await admin(d);
    await Promise.all(range(0, 3).map((lane) => makeMany(d, lane * 25000, 25000)));
    problem(await d.call('PUT', '/v1/locks/one-more', { body: {} }), 429, 'limit_reached');
    for (const kind of KINDS) assert.equal((await d.get(`/v1/${kind}?limit=500`)).body.items.length, 500);
    await d.get('/metrics');
    const { server_pid } = await d.system();
    assert.ok(memory(server_pid) < 100000 * 2048, `${memory(server_pid) / MB} MB: less than 2 KB for each`);
    await watch.answered('a hundred thousand objects');
    await d.killServer();
    problem(await d.call('PUT', '/v1/locks/one-more', { body: {} }), 429, 'limit_reached');
  });
});
