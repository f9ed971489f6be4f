// One daemon for one test: on free ports, in a directory of its own, and gone without a trace afterwards.
//
// A test that ends well stops its daemon by SIGTERM and fails when that takes too long, when the daemon
// wrote a sanitizer's report, or when a process of the daemon is left. A test that ends badly takes all of it down by pid.
// The environment of everything that descends from the daemon holds a mark, by which it is found.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from './client.mjs';
import { alive, killMarked, marked, send } from './proc.mjs';
import { PATIENCE, sleep, soon, until } from './wait.mjs';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
export const BINARY = process.env.FORKFUL_BIN ?? path.join(REPOSITORY, 'build/test/forkful');

const running = new Set();
process.on('exit', () => { for (const daemon of running) daemon.sweep(); });
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));

/** The environment of this test run without what would reach into the daemon under test. */
function clean_environment() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^(FORKFUL_|XDG_|NODE_|STATE_DIRECTORY|RUNTIME_DIRECTORY|NOTIFY_SOCKET|LISTEN_)/.test(name)) delete env[name];
  }
  return env;
}

export class Daemon {
  constructor({ args = [], env = {}, config, dir, bin = BINARY, listen = ['127.0.0.1:0'], wrap, tls } = {}) {
    this.made_dir = dir === undefined;
    this.dir = dir ?? mkdtempSync(path.join(tmpdir(), 'forkful-test-'));
    this.stateDir = path.join(this.dir, 'state');
    this.runtimeDir = path.join(this.dir, 'run');
    this.args = args;
    this.env = env;
    this.config = config;
    this.bin = bin;
    this.listen = listen;
    this.tls = tls; // of its clients, when it listens with TLS
    this.wrap = wrap; // a line of shell that runs before the daemon in the same process: ulimit, trap …
    this.mark = this.dir; // stands in the environment of all that descends from the daemon
    this.stderr = '';
    this.tolerated = [];
    this.clients = [];
  }

  command_line() {
    const args = ['serve'];
    for (const one of this.listen) args.push('--listen', one);
    args.push('--state-dir', this.stateDir, '--runtime-dir', this.runtimeDir);
    if (this.config !== undefined) {
      const file = path.join(this.dir, 'forkful.conf');
      writeFileSync(file, this.config);
      args.push('--config', file);
    }
    // Who is not root may not look at its descriptors and environment otherwise, and these tests do.
    if (process.getuid() !== 0 && !this.args.includes('--core-dumps')) args.push('--core-dumps', 'true');
    return [...args, ...this.args];
  }

  /** Starts `serve` and gives { child, stdout, ended } without waiting for anything. */
  launch(extra_env = {}) {
    mkdirSync(this.dir, { recursive: true });
    running.add(this);
    const env = { ...clean_environment(), DAEMON_UNDER_TEST: this.dir, ...this.env, ...extra_env };
    const [file, args] = this.wrap === undefined ? [this.bin, this.command_line()]
      : ['/bin/sh', ['-c', `${this.wrap}\nexec "$0" "$@"`, this.bin, ...this.command_line()]];
    const child = spawn(file, args, { env, cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const launched = { child, stdout: '', stderr: '', code: undefined, signal: undefined };
    launched.ended = new Promise((resolve) => {
      child.once('error', (error) => { launched.error = error; resolve(launched); });
      child.once('exit', (code, signal) => { Object.assign(launched, { code, signal }); resolve(launched); });
    });
    launched.closed = new Promise((resolve) => { child.once('close', resolve); child.once('error', resolve); });
    child.stdout.on('data', (piece) => { launched.stdout += piece; });
    child.stderr.on('data', (piece) => { launched.stderr += piece; this.stderr += piece; });
    return launched;
  }

  async start(extra_env = {}) {
    const launched = this.launch(extra_env);
    this.launched = launched;
    const line = await until('the daemon prints its first line', () => {
      if (launched.error) throw Object.assign(launched.error, { final: true });
      const failed = launched.code !== undefined || launched.signal !== undefined;
      if (failed && !launched.stdout.includes('\n')) {
        const error = new assert.AssertionError({ message: `the daemon ended at once (code ${launched.code}, signal ${launched.signal}): ${launched.stderr}` });
        throw Object.assign(error, { final: true });
      }
      const end = launched.stdout.indexOf('\n');
      return end >= 0 && launched.stdout.slice(0, end);
    }, { every: 0.002 }).catch((error) => { this.sweep(); throw error; });
    this.first = JSON.parse(line);
    this.pid = this.first.pid;
    this.url = this.first.listening.find((one) => one.startsWith('http'));
    this.socket = this.first.listening.find((one) => one.startsWith('unix:'))?.slice('unix:'.length);
    this.token = readFileSync(path.join(this.stateDir, 'token'), 'utf8').trim();
    for (const one of this.clients) one.close();
    this.admin = new Client({ url: this.url, token: this.token, tls: this.tls });
    this.unix = new Client({ socket: this.socket });
    this.clients = [this.admin, this.unix];
    return this;
  }

  // ---- calls, as the admin ----
  call(method, where, options) { return this.admin.call(method, where, options); }

  get(where, options) { return this.call('GET', where, { expect: 200, ...options }); }

  post(where, body, options) { return this.call('POST', where, { body, ...options }); }

  delete(where, options) { return this.call('DELETE', where, { expect: 204, ...options }); }

  stream(where, options) { return this.admin.stream(where, options); }

  /** A client that shows another token (a process's, a session's), null for none. */
  as(token) { return this.admin.as(token); }

  /** Makes a process and gives its record. */
  async spawn(spec, options = {}) {
    return (await this.call('POST', '/v1/processes', { body: spec, expect: 201, ...options })).body;
  }

  sh(script, more = {}, options = {}) { return this.spawn({ argv: ['/bin/sh', '-c', script], ...more }, options); }

  python(code, more = {}, options = {}) { return this.spawn({ argv: ['python3', '-u', '-c', code], ...more }, options); }

  async process(id, options) { return (await this.get(`/v1/processes/${id}`, options)).body; }

  /** Joins until the process has ended, and gives its last record. */
  async join(id, { within = PATIENCE * 2, ...options } = {}) {
    return until(`process ${id} has ended`, async () => {
      const { body } = await this.get(`/v1/processes/${id}/join?wait=${Math.min(within, PATIENCE)}`, options);
      return !body.alive && body;
    }, { within });
  }

  /** Runs to the end: the last record. */
  async run(spec, options) {
    return this.join((await this.spawn(spec, options)).id);
  }

  async logsBytes(id, query = '', options = {}) {
    const headers = { Accept: 'application/octet-stream', ...options.headers };
    return (await this.get(`/v1/processes/${id}/logs${query}`, { ...options, headers })).bytes;
  }

  async logsText(id, query = '') { return (await this.logsBytes(id, query)).toString('utf8'); }

  /** All records that match, page after page. `query` begins with '?' or is empty. */
  async logs(id, query = '', options = {}) {
    const items = [];
    let after = null;
    const once = /[?&](limit|tail)=/.test(query);
    for (;;) {
      const url = new URL(`/v1/processes/${id}/logs${query}`, 'http://x');
      if (!once) url.searchParams.set('limit', 500);
      if (after !== null) url.searchParams.set('after', after);
      const { body } = await this.get(url.pathname + url.search, { ...options, headers: { Accept: 'application/json', ...options.headers } });
      items.push(...body.items);
      if (once || body.items.length === 0 || body.next_after === after) return items;
      after = body.next_after;
    }
  }

  async system(options) { return (await this.get('/v1/system', options)).body; }

  async list(query = '') {
    const items = [];
    let token = null;
    do {
      const url = new URL(`/v1/processes${query}`, 'http://x');
      if (!url.searchParams.has('limit')) url.searchParams.set('limit', '500');
      if (token !== null) url.searchParams.set('page_token', token);
      const { body } = await this.get(url.pathname + url.search);
      items.push(...body.items);
      token = body.next_page_token;
    } while (token !== null);
    return items;
  }

  // ---- crashes ----
  /** SIGKILL to the server; waits until another one answers (unless `wait` is false). Gives the old pid. */
  async killServer({ wait = true } = {}) {
    const { server_pid } = await this.system({ patient: PATIENCE });
    send(server_pid, 'SIGKILL');
    this.admin.reconnect();
    this.unix.reconnect();
    if (wait) await this.otherServer(server_pid);
    return server_pid;
  }

  otherServer(old_pid) {
    return until('another server answers', async () => {
      const system = await this.system();
      return system.server_pid !== old_pid && system;
    });
  }

  /** SIGKILL to the keeper; waits until another one keeps. Gives the old pid. */
  async killKeeper({ wait = true } = {}) {
    const { keeper_pid } = await this.system({ patient: PATIENCE });
    send(keeper_pid, 'SIGKILL');
    this.admin.reconnect();
    this.unix.reconnect();
    if (wait) {
      await until('another keeper keeps', async () => {
        const system = await this.system();
        return system.keeper_pid !== keeper_pid && system;
      });
    }
    return keeper_pid;
  }

  /** Both at once, as in a power cut: neither sees the other go. Children live on. */
  async killBoth() {
    const { keeper_pid, server_pid } = await this.system({ patient: PATIENCE });
    for (const pid of [keeper_pid, server_pid]) send(pid, 'SIGSTOP');
    for (const pid of [server_pid, keeper_pid]) send(pid, 'SIGKILL');
    await until('both are gone', () => !alive(keeper_pid) && !alive(server_pid));
    for (const one of this.clients) one.close();
  }

  // ---- the end ----
  /** Ends what lives, then the daemon, as an orderly admin would. */
  async end({ within = PATIENCE } = {}) {
    const { keeper_pid } = await this.system({ patient: PATIENCE });
    for (const one of await this.list('?state=pending,running,stopping')) {
      await this.post(`/v1/processes/${one.id}/stop`, { grace_seconds: 0 }, { expect: [202, 404, 409] });
    }
    await this.terminate(keeper_pid, within);
  }

  async terminate(keeper_pid = this.pid, within = PATIENCE) {
    send(keeper_pid, 'SIGTERM');
    await until('the daemon has ended after SIGTERM', () => !alive(keeper_pid), { within });
    if (keeper_pid === this.launched.child.pid) {
      await soon(this.launched.ended, 'the daemon ends');
      assert.deepEqual([this.launched.code, this.launched.signal], [0, null], `the daemon's exit status; it wrote: ${this.stderr}`);
    }
    for (const one of this.clients) one.close();
  }

  /** The end of a good test. */
  async stop() {
    if (!running.has(this)) return;
    await this.end();
    this.settle();
    const left = marked(this.mark).filter((pid) => !this.tolerated.includes(pid));
    const gone = await until('nothing of the daemon is left', () => left.every((pid) => !alive(pid)), { within: 5 }).catch(() => false);
    this.sweep();
    assert.ok(gone, `processes were left behind: ${left}`);
    this.inspect();
  }

  settle() {
    this.launched?.child.stdout.destroy();
  }

  /** What the daemon wrote on stderr must hold no sanitizer's report. */
  inspect() {
    assert.doesNotMatch(this.stderr, /Sanitizer|runtime error/, 'a sanitizer reports on stderr');
  }

  /** Takes everything down by pid and removes the directory. Synchronous: also for the exit of the test run. */
  sweep() {
    running.delete(this);
    killMarked(this.mark);
    for (const one of this.clients) one.close();
    this.launched?.child.stdout.destroy();
    this.launched?.child.stderr.destroy();
    if (this.made_dir) rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }

  /** SIGTERM and start again in the same directory. */
  async restart(extra_env = {}) {
    await this.end();
    return this.start(extra_env);
  }
}

/** A started daemon. Whoever calls this also calls `stop`; most tests use daemonTest. */
export async function startDaemon(options = {}) {
  const daemon = new Daemon(options);
  return daemon.start();
}

/** A test with a daemon of its own: daemonTest('a true sentence', [options,] async (d, t) => { … }). */
export function daemonTest(name, ...rest) {
  const body = rest.pop();
  const { seconds = PATIENCE * 4, ...options } = rest.pop() ?? {};
  return test(name, { timeout: (seconds + PATIENCE * 3) * 1000 }, async (t) => {
    const daemon = new Daemon(options);
    try {
      await daemon.start();
      await soon(Promise.resolve(body(daemon, t)), 'the test ends', seconds);
      await daemon.stop();
    } catch (error) {
      if (daemon.stderr) t.diagnostic(`stderr: ${daemon.stderr.slice(-3000)}`);
      throw error;
    } finally {
      daemon.sweep();
    }
  });
}

/** Tests that have nothing to do with each other run side by side: most of them only wait. */
export function suite(name, body) {
  return describe(name, { concurrency: 4 }, body);
}

/** Runs the binary with `args` to its end: { code, signal, stdout, stderr }. */
export async function runBinary(args, { env = {}, bin = BINARY, within = PATIENCE, cwd } = {}) {
  const child = spawn(bin, args, { env: { ...clean_environment(), ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const result = { stdout: '', stderr: '' };
  child.stdout.on('data', (piece) => { result.stdout += piece; });
  child.stderr.on('data', (piece) => { result.stderr += piece; });
  try {
    await soon(new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => { Object.assign(result, { code, signal }); resolve(); });
    }), `${bin} ${args.join(' ')} ends`, within);
  } finally {
    child.kill('SIGKILL');
  }
  return result;
}

export { sleep, soon, until, PATIENCE };
