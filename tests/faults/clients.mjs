// Clients that repeat each call under its Idempotency-Key until it is answered, while whatever the test does goes on; and the
// count of what must be there in the end: all that was answered, once.
import assert from 'node:assert/strict';
import { PATIENCE, until } from '../lib/daemon.mjs';

const get = async (d, where) => (await d.get(where, { patient: PATIENCE })).body;

export class Clients {
  constructor(d) {
    this.d = d;
    this.answered = { processes: 0, messages: 0, added: 0 };
  }

  async begin() {
    await this.d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    await this.d.call('PUT', '/v1/values/v', { body: { type: 'int64' }, expect: 201 });
    this.going = true;
    this.lanes = [
      this.lane('processes', '/v1/processes', (i) => ({ shell: `echo output of ${i}; exit 3`, name: 'made' }), 201),
      this.lane('messages', '/v1/queues/q/messages', (i) => ({ i }), 201),
      this.lane('added', '/v1/values/v/add', () => ({ n: 1 }), 200),
    ].map((one) => one.catch((error) => { this.failure ??= error; }));
    await this.advance();
    return this;
  }

  async lane(what, where, body, expect) {
    for (let i = 0; this.going; i += 1) {
      await this.d.call('POST', where, { body: body(i), expect, patient: PATIENCE * 2 });
      this.answered[what] += 1;
    }
  }

  /** Waits until each of them has had some more answers. */
  async advance(count = 5) {
    const { ...before } = this.answered;
    await until('everybody is answered', () => {
      if (this.failure) throw Object.assign(this.failure, { final: true });
      return Object.entries(this.answered).every(([what, now]) => now >= before[what] + count);
    }, { within: PATIENCE * 2 });
  }

  /** Ends them; then all of it is there, and still is for the next server. */
  async verify() {
    this.going = false;
    await Promise.all(this.lanes);
    if (this.failure) throw this.failure;
    await this.isThere();
    await this.d.killServer();
    await this.isThere();
  }

  async isThere() {
    const made = await this.d.list('?name=made');
    const { ready } = await get(this.d, '/v1/queues/q');
    const { value } = await get(this.d, '/v1/values/v');
    assert.deepEqual({ processes: made.length, messages: ready, added: value }, this.answered);
    for (const { id } of made) {
      assert.equal((await this.d.join(id)).exitcode, 3);
      assert.match(await this.d.logsText(id), /^output of \d+\n$/);
    }
  }
}
