// Sandboxes: Landlock's paths, the seccomp preset, what the record says of them, and machines that have them not.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { daemonTest, startDaemon, suite, until } from '../lib/daemon.mjs';
import { exitedWith, faults, problem } from '../lib/check.mjs';

const room = mkdtempSync(path.join(tmpdir(), 'forkful-sandbox-'));
after(() => rmSync(room, { recursive: true, force: true }));
chmodSync(room, 0o755);
const base = ['/usr', '/dev/null', '/proc'].filter((one) => existsSync(one));
const root = process.getuid() === 0;

// What this machine has; tests of a layer that it has not say that of themselves, and try how that is told.
const probe = await startDaemon();
const { landlock_abi: abi, seccomp: [preset] } = (await probe.get('/v1/capabilities')).body.sandbox;
await probe.stop();
const withLandlock = abi ? daemonTest : (name) => daemonTest(`needs Landlock: ${name}`, async () => {});
const withSeccomp = preset ? daemonTest : (name) => daemonTest(`needs seccomp: ${name}`, async () => {});

const status = (pid, key) => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1];

/** Tries each in Python inside a sandbox: { name: 'ok' or the errno's name }. */
async function tried(d, attempts, spec) {
  const code = `import ctypes, errno, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *rest):
    if libc.syscall(number, *rest) < 0: raise OSError(ctypes.get_errno(), "")
told = {}
for name, line in json.loads(sys.argv[1]).items():
    try:
        exec(line)
        told[name] = "ok"
    except OSError as e: told[name] = errno.errorcode[e.errno]
print(json.dumps(told))`;
  const { id } = await d.run({ argv: ['python3', '-c', code, JSON.stringify(attempts)], cwd: '/', ...spec });
  return JSON.parse(await d.logsText(id));
}

suite('paths', () => {
  const open = path.join(room, 'open');
  const shut = path.join(room, 'shut');
  for (const one of [open, shut]) { mkdirSync(one, { mode: 0o777 }); chmodSync(one, 0o777); writeFileSync(path.join(one, 'file'), 'text'); }
  const one = (name, mode = 'r') => `open("${name}", "${mode}").close()`;

  withLandlock('are read, written and executed where they are named, and nowhere else', async (d) => {
    const sandbox = { read: [...base, path.join(shut, 'file')], write: [open] };
    assert.deepEqual(await tried(d, {
      read: one(`${open}/file`), write: one(`${open}/new`, 'w'), mkdir: `os.mkdir("${open}/d")`, rename: `os.rename("${open}/new", "${open}/d/new")`, unlink: `os.unlink("${open}/d/new")`, list: `os.listdir("${open}")`,
      oneFile: one(`${shut}/file`), itsWrite: one(`${shut}/file`, 'r+'), beside: `os.listdir("${shut}")`, create: one(`${shut}/new`, 'w'), passwd: one('/etc/passwd'), home: `os.listdir("/root")`, tmp: one('/tmp/forkful-nowhere', 'w'), usr: one('/usr/bin/id'), usrWrite: one('/usr/new', 'w'),
      exec: 'os.spawnv(os.P_WAIT, "/usr/bin/true", ["true"])', token: one(`${d.stateDir}/token`), link: `os.link("${shut}/file", "${open}/link")`,
    }, { sandbox }), {
      read: 'ok', write: 'ok', mkdir: 'ok', rename: 'ok', unlink: 'ok', list: 'ok', oneFile: 'ok', itsWrite: 'EACCES', beside: 'EACCES', create: 'EACCES', passwd: 'EACCES', home: 'EACCES', tmp: 'EACCES', usr: 'ok', usrWrite: 'EACCES', exec: 'ok', token: 'EACCES', link: 'EXDEV',
    });
  });

  withLandlock('let nothing be executed that they do not name', async (d) => {
    for (const sandbox of [{ read: [] }, { write: [open] }, { read: ['/dev/null'] }]) {
      const body = problem(await d.post('/v1/processes', { argv: ['true'], sandbox }), 422, 'spawn_failed');
      assert.deepEqual([body.errno, body.stage], ['EACCES', 'exec']);
    }
  });

  withLandlock('have no links in them, and are there', async (d) => {
    symlinkSync('/etc', path.join(open, 'away'));
    const answer = await d.post('/v1/processes', { argv: ['true'], sandbox: { read: ['/usr', `${open}/away`, '/no/such'], write: [`${open}/away/x`, `${open}/file/x`] } });
    assert.deepEqual(faults(problem(answer, 422, 'invalid_value')), ['/sandbox/read/1 invalid_value', '/sandbox/read/2 invalid_value', '/sandbox/write/0 invalid_value', '/sandbox/write/1 invalid_value']);
    for (const where of ['usr', '', '/usr/../etc', 1, null, '/a\0']) assert.ok([400, 422].includes((await d.post('/v1/processes', { argv: ['true'], sandbox: { read: [where] } })).status));
    for (const sandbox of [[], 'default', { seccomp: 'other' }, { seccomp: true }, { more: 1 }, { read: '/usr' }, { require: 'no' }]) problem(await d.post('/v1/processes', { argv: ['true'], sandbox }), 422);
    assert.deepEqual(faults(problem(await d.post('/v1/processes', { argv: ['true'], sandbox: {}, no_new_privs: false }), 422, 'invalid_value')), ['/no_new_privs invalid_value']);
    assert.equal((await d.list()).length, 0);
  });

  withLandlock('go with a policy of programs, scripts too', { config: `spawn.executables = ${room}/script\nspawn.executables = /usr/bin/sleep\n` }, async (d) => {
    writeFileSync(path.join(room, 'script'), '#!/bin/sh\necho "$0"; cat /etc/passwd || echo kept\n', { mode: 0o755 });
    const sandbox = { read: [...base, path.join(room, 'script')], seccomp: preset ?? null };
    const { id } = await d.run({ argv: [path.join(room, 'script')], cwd: '/', sandbox, stderr: 'null' });
    assert.match(await d.logsText(id), /^\/dev\/fd\/\d+\nkept\n$/);
    assert.equal((await d.spawn({ argv: ['sleep', '1000'], cwd: '/', sandbox })).sandbox.missing.length, 0);
    problem(await d.post('/v1/processes', { argv: ['true'], sandbox }), 403, 'spawn_denied');
  });

  withLandlock('bind what the process makes, which gets no other sandbox and no way out of it', async (d) => {
    const mine = path.join(room, 'mine');
    mkdirSync(path.join(mine, 'inner'), { recursive: true });
    const sandbox = { read: base, write: [mine, path.join(mine, 'inner')] };
    const record = await d.sh('echo $FORKFUL_TOKEN; exec sleep 1000', { sandbox, cwd: '/' });
    const client = d.as(await until('it has told', async () => (await d.logsText(record.id)).trim()));
    const make = (more) => client.call('POST', '/v1/processes', { body: { argv: ['cat', '/etc/passwd'], cwd: '/', ...more } });
    const child = await make({});
    assert.deepEqual(child.body.sandbox, record.sandbox);
    exitedWith(await d.join(child.body.id), 1);
    for (const other of [{}, { read: ['/'] }, { read: base }, { ...sandbox, seccomp: 'default' }]) {
      assert.deepEqual(problem(await make({ sandbox: other }), 403, 'forbidden').errors.map((fault) => fault.pointer), ['/sandbox']);
    }
    exitedWith(await d.join((await make({ sandbox })).body.id), 1);
    exitedWith(await d.join((await make({ argv: ['touch', `${mine}/x`] })).body.id), 0);
    const later = (await make({ start: false })).body;
    await d.killServer();
    await d.post(`/v1/processes/${later.id}/start`, {}, { expect: 200 });
    exitedWith(await d.join(later.id), 1);
    await client.call('PUT', '/v1/pools/p', { body: { spec: { shell: 'cat /etc/passwd' } }, expect: 201 });
    const { body: task } = await d.post('/v1/pools/p/tasks', 'x', { expect: 202 });
    assert.equal((await d.get(`/v1/pools/p/tasks/${task.id}?wait=20`)).body.state, 'failed');
    // What it may write to it puts a link into, for the daemon to follow.
    renameSync(path.join(mine, 'inner'), path.join(mine, 'old'));
    symlinkSync('/etc', path.join(mine, 'inner'));
    problem(await make({}), 422, 'invalid_value');
  });
});

suite('the seccomp preset', () => {
  withSeccomp('forbids what administers the machine or reaches into others, and lets programs run', async (d) => {
    const on = process.arch === 'arm64' ? { mount: 40, bpf: 280, keyctl: 219, unshare: 97, setns: 268, reboot: 142, swapon: 224, kexec: 104, module: 105, handle: 265, perf: 241, settime: 112, ptrace: 117, vmread: 270, chroot: 51, uring: 425, clone: 220, clone3: 435 }
      : { mount: 165, bpf: 321, keyctl: 250, unshare: 272, setns: 308, reboot: 169, swapon: 167, kexec: 246, module: 175, handle: 304, perf: 298, settime: 227, ptrace: 101, vmread: 310, chroot: 161, uring: 425, clone: 56, clone3: 435 };
    const attempts = Object.fromEntries(Object.entries(on).map(([name, number]) => [name, `call(${number}, ${name === 'ptrace' ? 16 : name === 'clone' ? 0x10000011 : 0}, 0, 0, 0, 0)`]));
    const seen = await tried(d, attempts, { sandbox: { seccomp: 'default' } });
    assert.deepEqual(seen, { ...Object.fromEntries(Object.keys(on).map((name) => [name, 'EPERM'])), clone3: 'ENOSYS' });
    const told = await tried(d, { fork: 'os.waitpid(os.fork() or os._exit(0), 0)', thread: 'import threading; t = threading.Thread(target=len, args=("",)); t.start(); t.join()', socket: 'socket.socket(socket.AF_INET).bind(("127.0.0.1", 0))', exec: 'os.spawnv(os.P_WAIT, "/usr/bin/true", ["true"])', traceme: `call(${on.ptrace}, 0, 0, 0, 0)` }, { sandbox: { seccomp: 'default' } });
    assert.deepEqual(told, { fork: 'ok', thread: 'ok', socket: 'ok', exec: 'ok', traceme: 'ok' });
  });

  withSeccomp('holds for the children of its children', async (d) => {
    const { pid } = await d.sh('sleep 1000 & wait', { sandbox: { seccomp: 'default' } });
    const inner = await until('it has forked', () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim());
    for (const one of [pid, inner]) assert.deepEqual([status(one, 'Seccomp'), status(one, 'NoNewPrivs')], ['2', '1']);
  });
});

suite('the record', () => {
  daemonTest('says which layers there are', async (d) => {
    assert.equal((await d.spawn({ argv: ['sleep', '1000'] })).sandbox, null);
    assert.deepEqual((await d.spawn({ argv: ['sleep', '1000'], sandbox: {} })).sandbox, { applied: ['no_new_privs'], missing: [] });
    const { sandbox, no_new_privs } = await d.spawn({ argv: ['sleep', '1000'], cwd: '/', sandbox: { read: base, seccomp: 'default', require: false } });
    assert.equal(no_new_privs, true);
    const applied = ['no_new_privs', ...(abi ? [`landlock:abi${abi}`] : []), ...(preset ? ['seccomp:default'] : [])];
    assert.deepEqual(sandbox, { applied, missing: [...(abi ? [] : ['landlock']), ...(preset ? [] : ['seccomp:default'])] });
  });

  daemonTest('keeps them over a crash, a later start and another user', async (d) => {
    const spec = { argv: ['sleep', '1000'], cwd: '/', sandbox: { seccomp: 'default', read: base, require: false }, ...(root ? { user: 'nobody' } : {}) };
    const made = await d.spawn(spec);
    const later = await d.spawn({ ...spec, start: false });
    await d.killServer();
    const { body: started } = await d.post(`/v1/processes/${later.id}/start`, {}, { expect: 200 });
    for (const one of [await d.process(made.id), started]) {
      assert.deepEqual(one.sandbox, made.sandbox);
      assert.equal(status(one.pid, 'Seccomp'), preset ? '2' : '0');
    }
  });
});

suite('a machine', () => {
  for (const [layer, sandbox, pointer, missing] of [['landlock', { read: base }, '/sandbox/read', 'landlock'], ['landlock', { write: [room] }, '/sandbox/write', 'landlock'], ['seccomp', { seccomp: 'default' }, '/sandbox/seccomp', 'seccomp:default']]) {
    daemonTest(`without ${layer} starts nothing that needs it (${pointer}), and says so where it need not be`, { env: { FORKFUL_FAIL: `${layer}:ENOSYS` } }, async (d) => {
      for (const start of [true, false]) {
        assert.deepEqual(faults(problem(await d.post('/v1/processes', { argv: ['true'], sandbox, start }), 422, 'sandbox_unavailable')), [`${pointer} sandbox_unavailable`]);
      }
      problem(await d.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['cat'], sandbox } } }), 422, 'sandbox_unavailable');
      assert.equal((await d.list()).length, 0);
      const record = await d.run({ argv: ['true'], sandbox: { ...sandbox, require: false } });
      exitedWith(record, 0);
      assert.deepEqual(record.sandbox, { applied: ['no_new_privs'], missing: [missing] });
      const shown = (await d.get('/v1/capabilities')).body.sandbox;
      assert.deepEqual(layer === 'landlock' ? shown.landlock_abi : shown.seccomp, layer === 'landlock' ? null : []);
    });
  }

  withSeccomp('that has other layers at a later start refuses it', async (d) => {
    const { id } = await d.spawn({ argv: ['true'], start: false, sandbox: { seccomp: 'default', require: false } });
    await d.end();
    await d.start({ FORKFUL_FAIL: 'seccomp:ENOSYS' });
    problem(await d.post(`/v1/processes/${id}/start`, {}), 422, 'sandbox_unavailable');
    assert.equal((await d.process(id)).state, 'created');
  });
});
