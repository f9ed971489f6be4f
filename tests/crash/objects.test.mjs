// What is told of an object that was just made is still true when the server is killed before the commit.
import assert from 'node:assert/strict';
import path from 'node:path';
import { daemonTest, suite } from '../lib/daemon.mjs';

const KINDS = ['queues', 'locks', 'semaphores', 'events', 'values', 'barriers', 'pipes'];
const config = { barriers: { parties: 2 } };

/** The status of a call, or null when the server died before it answered. */
const status = (client, method, where, body) => client.call(method, where, { body }).then((answer) => answer.status, () => null);

suite('an object that is made while the server dies', () => {
  daemonTest('is there for everybody who was told of it', async (d) => {
    let kills = 0;
    const first = d.as(d.token);
    const others = [d.as(d.token), d.as(d.token), d.as(d.token)];
    for (let passage = 1; passage <= 14; passage += 1) {
      const once = path.join(d.dir, `once-${passage}`);
      await d.restart({ FORKFUL_FAULT: `writer_before_commit:${passage}`, FORKFUL_FAULT_ONCE: once });
      for (const client of [first, ...others]) Object.assign(client, { url: d.url }).reconnect();
      const kind = KINDS[passage % KINDS.length];
      const where = `/v1/${kind}/x${passage}`;
      const told = await Promise.all([
        status(first, 'PUT', where, config[kind] ?? {}), ...others.slice(0, 2).map((one) => status(one, 'PUT', where, config[kind] ?? {})), status(others[2], 'GET', where)]);
      const answered = told.filter((one) => one !== null && one !== 404);
      if (answered.length < told.filter((one) => one !== 404).length) kills += 1;
      const there = (await d.call('GET', where, { patient: 30 })).status === 200;
      if (answered.length > 0) assert.ok(there, `${where} was answered ${told} and is not there`);
    }
    assert.ok(kills > 0, 'the server died in one of them');
  });
});
