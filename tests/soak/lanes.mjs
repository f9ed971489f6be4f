// What a daemon under mixed load is asked to do, for as long as it takes: lanes, each a loop of calls that are repeated under
// their Idempotency-Key until they are answered. Each keeps count of what was answered; `verify` compares that with what is there.
import assert from 'node:assert/strict';
import net from 'node:net';
import { PATIENCE, sleep, until } from '../lib/daemon.mjs';

const patient = PATIENCE * 2;
const LONG = 30;

export class Lanes {
  constructor(d) {
    this.d = d;
    this.going = true;
    this.keeper_kills = 0;
    this.count = { jobs: 0, lost: 0, gaps: 0, put: 0, acked: 0, passing: 0, added: 0, locked: 0, tasks: 0, unsure: 0, sessions: 0, vanished: 0 };
    this.unacked = new Set(); // numbers that were put and not acked so far
    this.acked = new Set();
    this.fence = 0;
    this.inside = 0;
  }

  call(method, where, options = {}) { return this.d.call(method, where, { patient, ...options }); }

  async begin() {
    const objects = {
      'queues/work': { max_messages: 200, max_attempts: 0 }, 'queues/fleeting': { durable: false, max_messages: 200 }, 'values/sum': { type: 'int64' },
      'locks/one': {}, 'locks/of-sessions': {}, 'pools/doubles': { processes: 2, mode: 'stdio', max_attempts: 5, spec: { shell: 'while read n; do echo $((n * 2)); done' } },
    };
    for (const [name, body] of Object.entries(objects)) await this.call('PUT', `/v1/${name}`, { body, expect: [200, 201] });
    const lanes = [this.jobs(0), this.jobs(1), this.producer(), this.consumer(), this.consumer(), this.fleeting(), this.adder(), this.locker(), this.locker(), this.tasks(), this.sessions(), this.vanishing()];
    this.lanes = lanes.map((one) => one.catch((error) => { this.failure ??= error; this.going = false; }));
  }

  check() { if (this.failure) throw Object.assign(this.failure, { final: true }); }

  /** Ends them all; the consumers go on until all that was put is acked. */
  async end() {
    this.going = false;
    await Promise.all(this.lanes);
    this.check();
  }

  // ---- the lanes ----

  async jobs(lane) {
    for (let i = lane; this.going; i += 2) {
      const code = (i * 7) % 256;
      const { body: { id } } = await this.call('POST', '/v1/processes', { body: { shell: `for i in 1 2 3; do echo line $i of ${i}; done; exit ${code}`, name: 'job' }, expect: 201 });
      const done = await until('a job has ended', async () => { const { body } = await this.call('GET', `/v1/processes/${id}/join?wait=${LONG}`, { expect: 200 }); return !body.alive && body; }, { within: patient });
      this.count.jobs += 1;
      if (done.state === 'lost' && this.keeper_kills > 0) this.count.lost += 1;
      else assert.deepEqual([done.state, done.exitcode], ['exited', code], JSON.stringify(done.exit));
      const { body: { items } } = await this.call('GET', `/v1/processes/${id}/logs`, { headers: { Accept: 'application/json' }, expect: 200 });
      if (this.keeper_kills > 0 && items.some((one) => one.gap)) this.count.gaps += 1;
      else if (done.state === 'exited') assert.deepEqual(items.map((one) => one.text), [1, 2, 3].map((n) => `line ${n} of ${i}`));
    }
  }

  async producer() {
    for (let n = 1; this.going; n += 1) {
      this.unacked.add(n);
      const { status } = await this.call('POST', '/v1/queues/work/messages?wait=1', { body: n, expect: [201, 429] });
      if (status === 201) this.count.put += 1;
      else this.unacked.delete(n);
    }
  }

  async consumer() {
    for (;;) {
      const { body: { messages: [message] } } = await this.call('POST', '/v1/queues/work/receive?wait=0.2&lease=60', { expect: 200 });
      if (!message) {
        if (!this.going && this.unacked.size === 0) return;
        continue;
      }
      const { hold, body: number } = message;
      assert.ok(this.unacked.has(number), this.acked.has(number) ? `${number} came again after its ack` : `nobody has put ${number}`);
      await this.call('POST', `/v1/holds/${hold}/ack`, { expect: 200 });
      this.unacked.delete(number);
      this.acked.add(number);
      this.count.acked += 1;
    }
  }

  /** In memory only: what goes with a killed server is gone, and nothing comes that nobody put. */
  async fleeting() {
    const put = new Set();
    for (let n = 1; this.going; n += 1) {
      put.add(n);
      await this.call('POST', '/v1/queues/fleeting/messages', { body: n, expect: 201 });
      const { body: { messages: [message] } } = await this.call('POST', '/v1/queues/fleeting/receive?mode=take', { expect: 200 });
      if (message) assert.ok(put.delete(message.body), `nobody has put ${message.body}, or it came twice`);
      this.count.passing += 1;
    }
  }

  async adder() {
    while (this.going) {
      await this.call('POST', '/v1/values/sum/add', { body: { n: 1 }, expect: 200 });
      this.count.added += 1;
    }
  }

  async locker() {
    while (this.going) {
      const { status, body: hold } = await this.call('POST', '/v1/locks/one/acquire?wait=5', { body: { ttl_seconds: 120 }, expect: [200, 409] });
      if (status !== 200) continue;
      this.inside += 1;
      assert.equal(this.inside, 1, 'one at a time');
      assert.ok(hold.fence > this.fence, `fences grow: ${hold.fence} after ${this.fence}`);
      this.fence = hold.fence;
      await sleep(0.002);
      this.inside -= 1;
      await this.call('POST', `/v1/holds/${hold.id}/release`, { expect: [200, 409, 410] });
      this.count.locked += 1;
    }
  }

  async tasks() {
    for (let n = 1; this.going; n += 1) {
      const { body: task } = await this.call('POST', '/v1/pools/doubles/tasks', { body: n, expect: 202 });
      const done = await until('a task is done', async () => {
        const { body } = await this.call('GET', `/v1/pools/doubles/tasks/${task.id}?wait=${LONG}`, { expect: 200 });
        return !['queued', 'running'].includes(body.state) && body;
      }, { within: patient });
      this.count.tasks += 1;
      if (done.state === 'done') assert.equal(Number(done.result), 2 * n, JSON.stringify(done));
      else this.count.unsure += 1;
    }
  }

  /** Sessions that take a lock and are heard of no more: they end, and the lock is free for the next one. */
  async sessions() {
    while (this.going) {
      const { body: session } = await this.call('POST', '/v1/sessions', { body: { ttl_seconds: 1 }, expect: 201 });
      await this.call('POST', '/v1/locks/of-sessions/acquire?wait=0', { token: session.token, body: {}, expect: [200, 401, 409, 410] });
      this.count.sessions += 1;
      await sleep(0.25);
    }
  }

  /** Clients that follow or wait, and are gone by RST. */
  async vanishing() {
    const forms = ['GET /v1/changes HTTP/1.1\r\nAccept: text/event-stream', 'GET /v1/log HTTP/1.1\r\nAccept: text/event-stream', 'POST /v1/queues/work/receive?wait=20&lease=1 HTTP/1.1\r\nContent-Length: 0', 'GET /v1/processes HTTP/1.1', 'POST /v1/processes HTTP/1.1\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{'];
    for (let i = 0; this.going; i += 1) {
      const url = new URL(this.d.url);
      const socket = net.connect({ host: url.hostname, port: Number(url.port) });
      socket.on('error', () => {});
      socket.write(`${forms[i % forms.length]}\r\nHost: ${url.host}\r\nAuthorization: Bearer ${this.d.token}\r\n\r\n`);
      await sleep(0.02 + (i % 7) / 100);
      socket.resetAndDestroy();
      this.count.vanished += 1;
    }
  }

  // ---- the sum ----

  /** What was answered is there, and nothing is left of what has ended. */
  async verify() {
    const get = async (where) => (await this.call('GET', where, { expect: 200 })).body;
    assert.equal((await get('/v1/values/sum')).value, this.count.added);
    await until('every message is acked', async () => { const { ready, leased } = await get('/v1/queues/work'); return ready + leased === 0; }, { within: 5 });
    assert.deepEqual([this.unacked.size, this.acked.size], [0, this.count.put]);
    await until('all sessions have ended', async () => (await get('/v1/sessions?limit=500')).items.length === 0);
    await until('the lock of the sessions is free', async () => !(await get('/v1/locks/of-sessions')).held);
    for (const name of ['one', 'of-sessions']) assert.equal((await get(`/v1/locks/${name}`)).waiters, 0);
    for (const what of ['jobs', 'put', 'acked', 'added', 'locked', 'tasks', 'sessions', 'vanished']) assert.ok(this.count[what] > 0, `${what}: none`);
    assert.ok(this.count.lost <= this.keeper_kills * 4 && this.count.unsure <= (this.keeper_kills + 1) * 4, JSON.stringify(this.count));
  }
}
