// An admin who asks without a pause while an attack goes on: over TCP, on a new connection each time, and over the Unix
// socket. He has a thread of his own, and what that thread itself came late is taken off: measured is the daemon.
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import assert from 'node:assert/strict';

const TICK = 5;
const now = () => performance.now();

/** Milliseconds by which this thread's own timer was late at most since `reset`. */
function lateness() {
  let last = now();
  let most = 0;
  setInterval(() => {
    most = Math.max(most, now() - last - TICK);
    last = now();
  }, TICK).unref();
  return { reset: () => { most = 0; }, get most() { return Math.max(most, now() - last - TICK, 0); } };
}

function ask(place, headers) {
  return new Promise((resolve, reject) => {
    const request = http.get({ ...place, path: '/v1/processes?limit=1', headers, agent: false, timeout: 60000 }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode));
    });
    request.once('timeout', () => request.destroy(new Error('no answer in a minute')));
    request.once('error', reject);
  });
}

async function probe({ places, token }) {
  const late = lateness();
  const seen = { calls: 0, worst: 0, failures: [] };
  let going = true;
  parentPort.once('message', () => { going = false; });
  for (let i = 0; going; i += 1) {
    late.reset();
    const begun = now();
    try {
      const status = await ask(places[i % places.length], { Authorization: `Bearer ${token}` });
      if (status !== 200) seen.failures.push(status);
    } catch (error) {
      seen.failures.push(error.message);
    }
    seen.worst = Math.max(seen.worst, (now() - begun - late.most) / 1000);
    seen.calls += 1;
    if (seen.calls === 1) parentPort.postMessage('begun');
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  parentPort.postMessage(seen);
}

/** Begins to ask `d`, and resolves with the first answer. `answered()` ends it, and fails when a call failed or took too long. */
export async function admin(d, { over = ['unix', 'tcp'], within = 1 } = {}) {
  const { hostname, port } = new URL(d.url);
  const all = { unix: { socketPath: d.socket }, tcp: { host: hostname, port: Number(port) } };
  const places = over.map((one) => all[one]);
  const worker = new Worker(new URL(import.meta.url), { workerData: { places, token: d.token } });
  const message = () => new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
  await message();
  worker.unref();
  return {
    async answered(what, { calls = 3 } = {}) {
      worker.ref();
      worker.postMessage('enough');
      const seen = await message();
      assert.deepEqual(seen.failures, [], what);
      assert.ok(seen.calls >= calls, `${what}: only ${seen.calls} calls were answered, the slowest after ${seen.worst} s`);
      assert.ok(seen.worst < within, `${what}: an admin waited ${seen.worst} s`);
      return seen;
    },
  };
}

if (!isMainThread && workerData?.places) probe(workerData);
