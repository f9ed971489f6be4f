// Many callers at once. Also run against the thread sanitizer's build, for which this file's name matters.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { exitedWith, range } from '../lib/check.mjs';

suite('at once', () => {
  daemonTest('a hundred spawns, joins and reads of output each get what is theirs', async (d) => {
    await Promise.all(range(0, 99).map(async (i) => {
      const { id } = await d.spawn({ shell: `echo number ${i}; exit ${i}` });
      exitedWith(await d.join(id), i);
      assert.equal(await d.logsText(id), `number ${i}\n`);
    }));
    assert.equal((await d.list()).length, 100);
  });

  daemonTest('spawns, stops, reads, follows and deletes go side by side', async (d) => {
    const follower = await d.stream('/v1/changes?follow=true', { accept: 'application/x-ndjson' });
    let changes = 0;
    const following = (async () => { for await (const one of follower.records()) { changes += 1; assert.ok(one.seq > 0); } })().catch(() => {});
    await Promise.all(range(1, 8).map(async (worker) => {
      for (let i = 0; i < 8; i += 1) {
        const { id } = await d.sh(`i=0; while :; do i=$((i+1)); echo ${worker} $i; done`, { output: { max_bytes: 65536 * (1 + i % 3) } });
        const [first] = await d.logs(id, '?limit=1&wait=30');
        assert.ok(first);
        await Promise.all([d.process(id), d.system(), d.get('/metrics'), d.get('/v1/processes?limit=10'),
          d.get(`/v1/processes/${id}/logs?tail=5`, { headers: { Accept: 'application/json' } }),
          d.get(`/v1/processes/${id}/stats`), d.get(`/v1/processes/${id}/tree`)]);
        if (i % 2) await d.post(`/v1/processes/${id}/stop`, { grace_seconds: 0 }, { expect: 202 });
        else await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
        assert.equal((await d.join(id)).alive, false);
        await d.delete(`/v1/processes/${id}`);
      }
    }));
    follower.close();
    await following;
    assert.ok(changes > 64);
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('kill, stop, delete and signal of the same process never do harm together', async (d) => {
    for (let round = 0; round < 15; round += 1) {
      const { id } = await d.sh('sleep 1000 & wait');
      const answers = await Promise.all([
        d.post(`/v1/processes/${id}/kill`), d.post(`/v1/processes/${id}/terminate`), d.post(`/v1/processes/${id}/stop`, { grace_seconds: 0 }),
        d.post(`/v1/processes/${id}/signal`, { signal: 'INT', scope: 'tree' }), d.call('DELETE', `/v1/processes/${id}?kill=true`),
        d.call('GET', `/v1/processes/${id}/join?wait=30`), d.post(`/v1/processes/${id}/pause`), d.post(`/v1/processes/${id}/resume`),
        d.call('GET', `/v1/processes/${id}/stats`), d.call('GET', `/v1/processes/${id}/tree`)]);
      for (const one of answers) assert.ok(one.status < 500, `${one}`);
      assert.equal((await d.call('GET', `/v1/processes/${id}`)).status, 404);
    }
  });

  daemonTest('parked calls by the hundred are all answered', async (d) => {
    const { id } = await d.sh('read x; exit 1', { stdin: 'pipe' });
    const joins = range(1, 300).map(() => d.get(`/v1/processes/${id}/join?wait=60`));
    const pages = range(1, 50).map(() => d.get(`/v1/processes/${id}/logs?wait=60`, { headers: { Accept: 'application/json' } }));
    await d.get('/v1/system', { agent: false });
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202, agent: false });
    for (const one of await Promise.all(joins)) exitedWith(one.body, 1);
    for (const one of await Promise.all(pages)) assert.deepEqual(one.body.items, []);
  });
});
