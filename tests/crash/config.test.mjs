// A configuration file that breaks while the daemon runs: what was taken last goes on until the file is right again.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { alive, send } from '../lib/proc.mjs';

const file = (d) => path.join(d.dir, 'forkful.conf');
const most = async (d) => (await d.system()).limits.max_processes;
const errors = async (d) => (await d.get('/v1/log?level=error&limit=500')).body.items.map((one) => one.text);

suite('a configuration file broken after the start', () => {
  daemonTest('does not keep the next server from coming, and the log says so', { config: 'max_processes = 7\n' }, async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    writeFileSync(file(d), 'max_processes = many\n');
    for (let round = 0; round < 2; round += 1) await d.killServer();
    assert.equal(await most(d), 7);
    assert.equal((await d.process(id)).alive, true);
    assert.match((await errors(d))[0], /the last good one goes on: .*forkful\.conf:1: max_processes/);
    rmSync(file(d));
    await d.killServer();
    assert.equal(await most(d), 7);
    await d.killKeeper();
    assert.equal(await most(d), 7);
    assert.match((await errors(d)).at(-1), /the last good one goes on: .*forkful\.conf: cannot be opened/);
  });

  daemonTest('falls back to what was read last, by SIGHUP too, and is taken again when it is right', { config: 'max_processes = 7\n' }, async (d) => {
    writeFileSync(file(d), 'max_processes = 8\n');
    send(d.pid, 'SIGHUP');
    await until('it is read again', async () => (await most(d)) === 8);
    await d.run({ argv: ['true'] });
    writeFileSync(file(d), 'nonsense\n');
    await d.killServer();
    assert.equal(await most(d), 8);
    writeFileSync(file(d), 'max_processes = 9\n');
    await d.killServer();
    assert.equal(await most(d), 9);
  });

  daemonTest('is an error at the start of a daemon, as ever', { config: 'max_processes = 7\n' }, async (d) => {
    await d.terminate();
    d.config = 'max_processes = many\n';
    const launched = d.launch();
    await launched.ended;
    assert.equal(launched.code, 1);
    assert.match(launched.stderr, /forkful\.conf:1: max_processes/);
    assert.equal(alive(launched.child.pid), false);
    d.config = 'max_processes = 6\n';
    await d.start();
    assert.equal(await most(d), 6);
  });
});
