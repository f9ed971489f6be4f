// Attacks out of a sandbox: what a process in one reaches for, by itself, by links, and through the daemon.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { daemonTest, startDaemon, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem } from '../lib/check.mjs';
import { answersSoon } from './wire.mjs';

const probe = await startDaemon();
const { landlock_abi: abi, seccomp: [preset] } = (await probe.get('/v1/capabilities')).body.sandbox;
await probe.stop();
const contained = abi && preset ? daemonTest : (name) => daemonTest(`needs Landlock and seccomp: ${name}`, async () => {});
const base = ['/usr', '/dev/null'].filter((one) => existsSync(one));

/** A directory of its own, in which alone the process may write, and the sandbox that says so. */
function cell() {
  const inside = mkdtempSync(path.join(tmpdir(), 'forkful-cell-'));
  chmodSync(inside, 0o777);
  after(() => rmSync(inside, { recursive: true, force: true }));
  return { inside, sandbox: { read: base, write: [inside], seccomp: 'default' } };
}

suite('out of a sandbox', () => {
  contained('a shell reaches for files, the daemon and a root of its own', async (d) => {
    const { inside, sandbox } = cell();
    const lines = [
      `cat ${d.stateDir}/token`, `ls ${d.stateDir}`, `echo x > ${d.stateDir}/x`, `ln -s ${d.stateDir} ${inside}/link && cat ${inside}/link/token`, `ln ${d.stateDir}/token ${inside}/hard`,
      `cat ${inside}/../../${d.stateDir}/token`, 'cat /etc/shadow', 'cat /proc/1/environ', `cd ${d.stateDir} && cat token`, `cp /usr/bin/cat ${inside}/cat && ${inside}/cat ${d.stateDir}/token`,
      'unshare -U true', 'unshare -m true', 'mount -t tmpfs none /mnt', `chroot ${inside} /cat`, 'mknod /tmp/x c 1 3', 'nsenter -t 1 -m true',
    ];
    for (const line of lines) {
      const ended = await d.run({ shell: line, cwd: '/', sandbox });
      assert.notEqual(ended.exitcode, 0, `${line}: ${await d.logsText(ended.id)}`);
      assert.ok(!(await d.logsText(ended.id)).includes(d.token.slice(4)), line);
    }
    exitedWith(await d.run({ shell: `echo x > ${inside}/x; cat ${inside}/x; cat < /dev/null`, cwd: '/', sandbox }), 0);
    await answersSoon(d);
  });

  contained('a process asks on the Unix socket, as the user that needs no token there', async (d) => {
    const { inside } = cell();
    const ask = `
import os, socket, sys
if sys.argv[1:] == ["orphan"]:
    if os.fork(): os._exit(0)
    os.setsid()
    if os.fork(): os._exit(0)
s = socket.socket(socket.AF_UNIX); s.connect(${JSON.stringify(d.socket)})
s.sendall(b"GET /v1/system HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
open("${inside}/answer", "wb").write(s.recv(65536))`;
    const answer = () => (existsSync(`${inside}/answer`) ? readFileSync(`${inside}/answer`, 'latin1').split('\r')[0] : null);
    const free = { read: ['/'], write: [inside] };
    for (const [spec, status] of [[{}, 200], [{ sandbox: free }, 401], [{ sandbox: free, argv: ['orphan'] }, 401], [{}, 200]]) {
      rmSync(`${inside}/answer`, { force: true });
      await d.run({ argv: ['python3', '-c', ask, ...(spec.argv ?? [])], cwd: '/', api: false, ...(spec.sandbox && { sandbox: spec.sandbox }) });
      assert.equal(await until('it is answered', answer), `HTTP/1.1 ${status} ${status === 200 ? 'OK' : 'Unauthorized'}`, JSON.stringify(spec));
    }
    await d.unix.call('GET', '/v1/system', { expect: 200 });
  });

  contained('a process asks the daemon for one without, or with another', async (d) => {
    const { inside, sandbox } = cell();
    const record = await d.sh('echo $FORKFUL_TOKEN; exec sleep 1000', { sandbox, cwd: '/' });
    const client = d.as(await until('it has told', async () => (await d.logsText(record.id)).trim()));
    const secret = `${d.stateDir}/token`;
    const ask = (spec) => client.call('POST', '/v1/processes', { body: { cwd: '/', ...spec } });
    for (const more of [{ sandbox: {} }, { sandbox: { require: false } }, { sandbox: { ...sandbox, write: ['/'] } }, { sandbox: { ...sandbox, seccomp: null } }, { sandbox: { read: ['/'], write: [inside], seccomp: 'default' } }]) {
      problem(await ask({ argv: ['cat', secret], ...more }), 403, 'forbidden');
      problem(await client.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['cat', secret], ...more } } }), 403, 'forbidden');
    }
    problem(await ask({ argv: ['true'], no_new_privs: false }), 403);
    problem(await ask({ argv: ['true'], env_from: { T: { file: secret } } }), 403, 'spawn_denied');
    for (const more of [{}, { sandbox: null }, { cwd: d.stateDir }, { argv: ['cat', 'token'], cwd: d.stateDir }, { stdin: { text: 'x' } }]) {
      const { body: made } = await client.call('POST', '/v1/processes', { body: { argv: ['cat', secret], cwd: '/', ...more }, expect: 201 });
      exitedWith(await d.join(made.id), 1);
      assert.deepEqual(made.sandbox, record.sandbox);
    }
    const { body: heir } = await client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'], cwd: '/' }, expect: 201 });
    assert.match(readFileSync(`/proc/${heir.pid}/status`, 'latin1'), /^Seccomp:\t2$/m);
    await answersSoon(d);
  });
});
