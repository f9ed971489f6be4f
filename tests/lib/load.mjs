// A load of which everything is known beforehand: children that print numbered lines with pauses and end with a
// known code, started one after another while whatever the test does goes on. `verify` compares every line and code.
import assert from 'node:assert/strict';
import { range } from './check.mjs';
import { PATIENCE, until } from './wait.mjs';

const LINES = 60;
const code_of = (number) => (number * 7) % 256;
const script = (number) => `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo "job ${number} line $i"; [ $((i % 10)) = 0 ] && sleep 0.05; done; exit ${code_of(number)}`;
const output_of = (number) => range(1, LINES).map((i) => `job ${number} line ${i}\n`).join('');

export class Load {
  /** Keeps `width` jobs going on `daemon` until `finish`. Each request is repeated until it is answered. */
  constructor(daemon, { width = 30 } = {}) {
    this.daemon = daemon;
    this.next = 0;
    this.made = new Map(); // job number → process id
    this.stopping = false;
    this.failure = null;
    this.lanes = range(1, width).map(() => this.lane().catch((error) => { this.failure ??= error; this.stopping = true; }));
  }

  async lane() {
    while (!this.stopping) {
      const number = this.next;
      this.next += 1;
      const spec = { argv: ['/bin/sh', '-c', script(number)], name: `job-${number}` };
      const headers = { 'Idempotency-Key': `${this.daemon.dir}/${number}` };
      const { body } = await this.daemon.call('POST', '/v1/processes', { body: spec, headers, patient: PATIENCE * 2, expect: 201 });
      this.made.set(number, body.id);
      await until(`job ${number} has ended`, async () => {
        const joined = await this.daemon.call('GET', `/v1/processes/${body.id}/join?wait=20`, { patient: PATIENCE * 2, expect: 200 });
        return !joined.body.alive;
      }, { within: PATIENCE * 2 });
    }
  }

  /** Waits until `count` more jobs were begun. */
  async progress(count = 1) {
    const wanted = this.next + count;
    await until('the load goes on', () => { if (this.failure) throw this.failure; return this.next >= wanted || this.stopping; }, { within: PATIENCE * 2 });
    if (this.failure) throw this.failure;
  }

  async finish() {
    this.stopping = true;
    await Promise.all(this.lanes);
    if (this.failure) throw this.failure;
  }

  /**
   * Each job was made exactly once, ran to its own end and left exactly its lines. With `keeper_killed` an exit
   * may be lost and output may have a gap, but what is told must be true.
   */
  async verify({ keeper_killed = false } = {}) {
    const list = await this.daemon.list();
    const by_name = new Map();
    for (const one of list.filter((item) => item.name.startsWith('job-'))) {
      assert.ok(!by_name.has(one.name), `${one.name} was made twice: ${JSON.stringify([by_name.get(one.name), one])}`);
      by_name.set(one.name, one);
    }
    assert.equal(by_name.size, this.made.size, 'as many as were answered for');
    let lost = 0;
    for (const [number, id] of this.made) {
      const record = by_name.get(`job-${number}`);
      assert.equal(record?.id, id);
      assert.equal(record.alive, false);
      if (keeper_killed && record.state === 'lost') {
        lost += 1;
        assert.deepEqual([record.exitcode, record.exit.reason], [null, 'keeper_lost']);
      } else {
        assert.deepEqual([record.state, record.exitcode, record.exit.kind], ['exited', code_of(number), 'exited'], `job ${number}: ${JSON.stringify(record.exit)}`);
      }
      await this.verifyOutput(number, id, keeper_killed);
    }
    return { jobs: this.made.size, lost };
  }

  async verifyOutput(number, id, keeper_killed) {
    const wanted = output_of(number);
    const got = await this.daemon.logsText(id);
    if (got === wanted) return;
    const gaps = (await this.daemon.logs(id)).filter((one) => one.gap);
    assert.ok(keeper_killed && gaps.some((one) => one.gap.reason === 'keeper_lost'), `job ${number} lacks output: ${got.length} of ${wanted.length} bytes, no gap`);
    const lines = wanted.split('\n');
    for (const line of got.split('\n')) assert.ok(lines.some((one) => one.includes(line)), `job ${number} did not write ${line}`);
  }
}

/** Numbers between 0 and 1 that are the same in each run. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}
