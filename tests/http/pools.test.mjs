// Pools: so many processes work off tasks; whatever ends one of them ends its attempt, and nothing waits for the dead.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, faults, problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';
import { sleep, timed } from '../lib/wait.mjs';

const P = '/v1/pools/p';
const sh = (script) => ({ argv: ['sh', '-c', script] });
/** Lasting workers, as small as can be: each line of stdin is the argument of `script`, which writes a line. */
const lines = (script) => sh(`while read -r line; do ${script}; done`);
const make = (d, body, where = P) => d.call('PUT', where, { body, expect: 201 });
/** `body` goes as JSON, or (from `text`) as it is. */
const submit = (d, body, { wait, ...more } = {}) => d.call('POST', `${P}/tasks${wait === undefined ? '' : `?wait=${wait}`}`, { ...(body?.raw ? body : { body }), ...more });
const given = async (d, body) => (await submit(d, body, { expect: 202 })).body;
const done = async (d, body) => (await submit(d, body, { wait: 20, expect: 200 })).body;
const batch = async (d, tasks) => (await d.post(`${P}/batches`, { tasks }, { expect: 202 })).body;
const results = async (d, id, query = '') => (await d.get(`${P}/batches/${id}/results${query}`)).body;
const tasks = async (d) => (await d.get(`${P}/tasks?limit=500`)).body.items;
const whole = async (d, id) => (await d.get(`${P}/batches/${id}?wait=30`)).body;
const look = async (d) => (await d.get(P)).body;
const task = async (d, id, wait = 20) => (await d.get(`${P}/tasks/${id}?wait=${wait}`)).body;
const kill = (d, id) => d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
const text = (body, type = 'text/plain') => ({ raw: Buffer.from(body), headers: { 'Content-Type': type } });

suite('a pool', () => {
  daemonTest('is made once, and again only the same', async (d) => {
    const body = { processes: 2, spec: { argv: ['cat'], env: { A: 'secret' } } };
    const made = (await make(d, body)).body;
    assert.deepEqual([made.kind, made.processes, made.min, made.mode, made.max_tasks, made.max_attempts, made.state, made.joined],
      ['pool', 2, 0, 'spawn', null, 1, 'open', false]);
    assert.deepEqual(made.spec, { argv: ['cat'], env_keys: ['A'] });
    assert.deepEqual((await d.call('PUT', P, { body, expect: 200 })).body, made);
    const other = problem(await d.call('PUT', P, { body: { ...body, spec: { argv: ['cat'], env: { A: 'other' } } } }), 409, 'config_differs');
    assert.deepEqual(faults(other), ['/spec config_differs']);
    assert.doesNotMatch(JSON.stringify(other), /secret/);
    await d.delete(P);
    problem(await d.call('GET', P), 404, 'not_found');
  });

  daemonTest('names everything that is wrong with its body', async (d) => {
    assert.deepEqual(faults(problem(await d.call('PUT', P, { body: {} }), 422)), ['/spec missing_field']);
    assert.deepEqual(faults(problem(await d.call('PUT', P, { body: { processes: 0, mode: 'x', spec: { argv: [1], envv: {} }, size: 1 } }), 422)),
      ['/mode invalid_value', '/processes invalid_value', '/size unknown_field', '/spec/argv/0 invalid_value', '/spec/envv unknown_field']);
    assert.deepEqual(faults(problem(await d.call('PUT', P, { body: { processes: 1, min: 2, spec: { argv: ['cat'], start: false, stdin: 'pipe', stdout: 'null', stderr: 'stdout',
      output: { when_full: 'block' } } } }), 422)),
    ['/min invalid_value', '/spec/output/when_full invalid_value', '/spec/start invalid_value', '/spec/stderr invalid_value', '/spec/stdin invalid_value',
      '/spec/stdout invalid_value']);
    assert.deepEqual(faults(problem(await d.call('PUT', P, { body: { spec: {} } }), 422)), ['/spec/argv missing_field']);
    assert.deepEqual(faults(problem(await d.call('PUT', P, { body: { spec: { argv: ['cat'], user: 'nobody-at-all' } } }), 422)), ['/spec/user invalid_value']);
    problem(await d.call('GET', P), 404, 'not_found');
  });

  daemonTest('has as many processes as there are processors, and says so', async (d) => {
    const made = (await make(d, { spec: { argv: ['cat'] } })).body;
    assert.equal(made.processes, (await d.get('/v1/system')).body.cpu_count);
  });
});

suite('in mode spawn', () => {
  daemonTest('a task is a process: payload in, stdout out', async (d) => {
    await make(d, { processes: 2, spec: { argv: ['cat'] } });
    const one = await done(d, { a: [1, 2] });
    assert.deepEqual([one.state, one.result, one.result_text, one.exitcode, one.error, one.batch, one.index], ['done', { a: [1, 2] }, null, 0, null, null, null]);
    assert.equal(one.attempts.length, 1);
    const process = (await d.get(`/v1/processes/${one.process}`)).body;
    assert.deepEqual([process.labels, process.exitcode, process.daemon, process.parent], [{ pool: 'p' }, 0, true, null]);
    const plain = await done(d, text('so it is\n'));
    assert.deepEqual([plain.result, plain.result_text, plain.result_base64, plain.content_type], [null, 'so it is\n', null, 'text/plain']);
    const bytes = await done(d, text(Buffer.from([0, 255, 10]), 'application/octet-stream'));
    assert.deepEqual([bytes.result, bytes.result_text, bytes.result_base64], [null, null, Buffer.from([0, 255, 10]).toString('base64')]);
    const empty = await done(d, text(''));
    assert.deepEqual([empty.result, empty.result_text], [null, '']);
    assert.deepEqual((await d.get(`${P}/tasks`)).body.items.map((one) => one.id), [one.id, plain.id, bytes.id, empty.id]);
  });

  daemonTest('the process knows its pool and its task', async (d) => {
    await make(d, { spec: sh('echo "\\"$FORKFUL_POOL $FORKFUL_TASK_ID\\""') });
    const one = await done(d, 1);
    assert.equal(one.result, `p ${one.id}`);
  });

  daemonTest('exit 100 buries, another exit or a signal fails, with the cause', async (d) => {
    await make(d, { processes: 4, spec: sh('read code; case $code in k) kill -9 $$;; *) exit $code;; esac') });
    const ends = await Promise.all([['100', 'buried', 100, 'exit_code'], ['7', 'failed', 7, 'exit_code'], ['k', 'failed', -9, 'signal'], ['0', 'done', 0, null]]
      .map(async ([input, state, exitcode, reason]) => [await done(d, text(`${input}\n`)), state, exitcode, reason]));
    for (const [one, state, exitcode, reason] of ends) {
      assert.deepEqual([one.state, one.exitcode, one.error?.reason ?? null], [state, exitcode, reason]);
      assert.deepEqual([one.attempts.length, one.attempts[0].exitcode], [1, exitcode]);
    }
    const pool = await look(d);
    assert.deepEqual([pool.done_total, pool.failed_total, pool.buried_total, pool.unfinished], [1, 2, 1, 0]);
  });

  daemonTest('is tried again as often as max_attempts says', async (d) => {
    await make(d, { max_attempts: 3, spec: sh(`echo x >>${d.dir}/tries; test $(wc -l <${d.dir}/tries) -ge 3 && echo 5`) });
    const good = await done(d, 1);
    assert.deepEqual([good.state, good.result, good.attempts.map((one) => [one.number, one.exitcode])], ['done', 5, [[1, 1], [2, 1], [3, 0]]]);
    assert.equal(new Set(good.attempts.map((one) => one.process)).size, 3);
    await d.delete(P);
    await make(d, { max_attempts: 2, spec: { argv: ['false'] } });
    const bad = await done(d, 1);
    assert.deepEqual([bad.state, bad.attempts.map((one) => one.exitcode)], ['failed', [1, 1]]);
  });

  daemonTest('a program that cannot be executed fails each task, and says why', async (d) => {
    await make(d, { max_attempts: 2, spec: { argv: ['/no/such/program'] } });
    const one = await done(d, 1);
    assert.deepEqual([one.state, one.error.code, one.error.errno, one.error.stage, one.process], ['failed', 'spawn_failed', 'ENOENT', 'exec', one.process]);
    assert.match((await look(d)).last_error, /No such file/);
    assert.equal((await whole(d, (await batch(d, [1, 2, 3])).id)).failed, 3);
  });

  daemonTest('never runs more than processes at once, and all of them', async (d) => {
    await make(d, { processes: 3, spec: sh('sleep 0.2') });
    const { id } = await batch(d, Array.from({ length: 9 }, (_, i) => i));
    await until('it is so', async () => (await look(d)).running === 3);
    assert.equal((await look(d)).workers.length, 3);
    assert.equal((await whole(d, id)).done, 9);
    assert.equal((await results(d, id)).complete, true);
    const runs = (await tasks(d)).map((one) => one.attempts[0]);
    const overlaps = runs.map((run) => runs.filter((other) => other.started_at <= run.started_at && run.started_at < other.ended_at).length);
    assert.ok(Math.max(...overlaps) <= 3, `${overlaps}`);
  });

  daemonTest('a timeout of the spec ends the attempt', async (d) => {
    await make(d, { spec: { ...sh('sleep 60'), timeout_seconds: 0.2 } });
    const one = await done(d, 1);
    assert.deepEqual([one.state, one.error.reason, one.exitcode], ['failed', 'timeout', -15]);
  });
});

suite('in mode stdio', () => {
  daemonTest('lasting workers answer a line with a line', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', spec: lines('echo "[$line,$$]"') });
    const { id } = await batch(d, Array.from({ length: 50 }, (_, i) => i));
    assert.deepEqual((await whole(d, id)).done, 50);
    const all = (await results(d, id)).items;
    assert.deepEqual(all.map((one) => one.result[0]), Array.from({ length: 50 }, (_, i) => i));
    assert.ok(new Set(all.map((one) => one.result[1])).size <= 2);
    const pool = await look(d);
    assert.deepEqual(pool.workers.map((one) => one.state), ['idle', 'idle']);
    assert.equal(pool.workers.reduce((sum, one) => sum + one.served, 0), 50);
  });

  daemonTest('JSON over several lines arrives as one, a text as a string, bytes are refused', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['cat'] } });
    assert.deepEqual((await done(d, text('{"a":\r\n [1,\n2]}', 'application/json'))).result, { a: [1, 2] });
    assert.equal((await done(d, text('two\nlines'))).result, 'two\nlines');
    assert.deepEqual((await done(d, text('[3]', 'application/x-www-form-urlencoded'))).result, [3]);
    problem(await submit(d, text('no json', 'application/octet-stream')), 415, 'unsupported_media_type');
    problem(await submit(d, text('{', 'application/json')), 400, 'invalid_json');
    const plain = await done(d, text('"a"'));
    assert.equal(plain.result, '"a"');
  });

  daemonTest('what is not JSON is shown as text or base64', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: sh("read a; echo plain; read a; printf '\\377\\n'; read a; echo; cat") });
    assert.deepEqual((await done(d, 1)).result_text, 'plain');
    assert.deepEqual((await done(d, 1)).result_base64, '/w==');
    assert.deepEqual((await done(d, 1)).result_text, '');
  });

  daemonTest('a worker that is killed fails its task at once, and another takes its place', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', spec: lines('sleep $line; echo "$line"') });
    const long = await given(d, 60);
    const running = await until('it is so', async () => { const one = await task(d, long.id, 0); return one.state === 'running' && one; });
    const waiting = timed(() => task(d, long.id));
    await kill(d, running.process);
    const { value: one, seconds } = await waiting;
    assert.ok(seconds < 5, `${seconds}`);
    assert.deepEqual([one.state, one.exitcode, one.error.code, one.error.reason], ['failed', -9, 'process_ended', 'signal']);
    assert.equal((await done(d, 0)).result, 0);
    await until('it is so', async () => (await look(d)).workers.length === 2);
    assert.equal((await look(d)).workers_total, 3);
  });

  daemonTest('with more attempts the task of a killed worker is done by another, and the rest of the batch with it', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', max_attempts: 2, spec: lines(`test -e ${d.dir}/go || sleep 2; echo "$line"`) });
    const { id } = await batch(d, Array.from({ length: 20 }, (_, i) => i));
    for (let i = 0; i < 3; i++) {
      const busy = await until('it is so', async () => (await look(d)).workers.find((one) => one.state === 'busy'));
      await kill(d, busy.process);
      await sleep(0.1);
    }
    writeFileSync(`${d.dir}/go`, '');
    const all = await whole(d, id);
    assert.equal(all.unfinished, 0);
    assert.ok(all.done >= 17, JSON.stringify(all));
    for (const one of await tasks(d)) {
      assert.ok(one.state === 'done' ? one.result === one.index : one.attempts.length === 2, JSON.stringify(one));
    }
  });

  daemonTest('a worker that ends without reading fails one task after the other, not none', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', spec: { argv: ['true'] } });
    const { id } = await batch(d, [1, 2, 3, 4]);
    const all = await whole(d, id);
    assert.deepEqual([all.failed, all.unfinished], [4, 0]);
  });

  daemonTest('a program that cannot be executed fails the tasks', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', spec: { argv: ['/no/such/program'] } });
    const all = await whole(d, (await batch(d, [1, 2, 3])).id);
    assert.equal(all.failed, 3);
    assert.equal((await results(d, all.id)).items[0].error.errno, 'ENOENT');
    assert.equal((await d.get('/v1/processes?state=running')).body.items.length, 0);
  });

  daemonTest('a worker that answers before it can have read its task is killed, and the next task is whole', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', max_attempts: 1, spec: { argv: ['python3', '-c', 'import os, time\nos.read(0, 10)\nos.write(1, b"\\"early\\"\\n")\ntime.sleep(20)\nwhile os.read(0, 65536): pass'] } });
    const first = await done(d, 'x'.repeat(900000));
    assert.deepEqual([first.state, first.exitcode], ['failed', -9]);
    assert.equal((await look(d)).state, 'open');
    await d.delete(P);
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['cat'] } });
    assert.equal((await done(d, 'y'.repeat(900000))).result.length, 900000);
  });

  daemonTest('the first task of a fresh worker arrives, and one that was not read goes to the next', async (d) => {
    await make(d, { processes: 4, mode: 'stdio', max_tasks: 2, spec: { argv: ['cat'] } });
    const { id } = await batch(d, Array.from({ length: 400 }, (_, i) => i));
    const all = await whole(d, id);
    assert.deepEqual([all.done, all.failed], [400, 0], JSON.stringify((await tasks(d)).find((one) => one.state === 'failed')));
  });

  daemonTest('a worker that closes its stdout hangs nothing', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: sh('read a; exec >&-; sleep 60') });
    const { value: one, seconds } = await timed(() => done(d, 1));
    assert.equal(one.state, 'failed');
    assert.ok(seconds < 15, `${seconds}`);
  });

  daemonTest('idle workers that may go at once do not go before they have worked', async (d) => {
    await make(d, { processes: 3, min: 0, idle_seconds: 0, mode: 'stdio', spec: { argv: ['cat'] } });
    const { id } = await batch(d, Array.from({ length: 200 }, (_, i) => i));
    assert.equal((await whole(d, id)).done, 200);
    assert.ok((await look(d)).workers_total < 100);
  });

  daemonTest('what a worker writes unasked is no answer', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: sh('echo hello; echo again; while read -r line; do sleep 0.1; echo "$line"; done') });
    await until('it is so', async () => { const pool = await look(d); return pool.workers[0]?.state === 'idle'
      && (await d.get(`/v1/processes/${pool.workers[0].process}`)).body.output.stdout_bytes === 12; });
    assert.equal((await done(d, 7)).result, 7);
  });

  daemonTest('payloads and results larger than a pipe go through whole', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', spec: { argv: ['cat'] } });
    const large = 'x'.repeat(3 << 20);
    const { id } = await batch(d, [large, 1, large, 2]);
    assert.equal((await whole(d, id)).done, 4);
    const all = (await results(d, id)).items;
    assert.ok(all[0].result === large && all[2].result === large);
    assert.deepEqual([all[1].result, all[3].result], [1, 2]);
  });

  daemonTest('a result over max_payload_bytes fails its task only', { config: 'max_payload_bytes = 100000\n' }, async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: lines('head -c $line /dev/zero | tr "\\0" 1; echo') });
    const large = await done(d, 300000);
    assert.deepEqual([large.state, large.error.code], ['failed', 'result_too_large']);
    assert.equal((await done(d, 3)).result, 111);
    assert.equal((await look(d)).workers_total, 1);
  });

  daemonTest('max_tasks replaces a worker', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', max_tasks: 3, spec: lines('echo $$') });
    const { id } = await batch(d, Array.from({ length: 9 }, () => 1));
    assert.equal((await whole(d, id)).done, 9);
    const pids = (await results(d, id, '?order=done')).items.map((one) => one.result);
    assert.equal(new Set(pids).size, 3);
    for (let i = 0; i < 9; i += 3) assert.equal(new Set(pids.slice(i, i + 3)).size, 1, `${pids}`);
  });

  daemonTest('workers above min go when idle, and never with a task', async (d) => {
    await make(d, { processes: 4, min: 1, idle_seconds: 0.3, mode: 'stdio', spec: lines(`while [ ! -e ${d.dir}/go ]; do sleep 0.05; done; sleep $line; echo 1`) });
    await until('it is so', async () => (await look(d)).workers.length === 1);
    const { id } = await batch(d, [1, 0.1, 0.1, 0.1]);
    await until('it is so', async () => (await look(d)).workers.length === 4);
    writeFileSync(`${d.dir}/go`, '');
    assert.equal((await whole(d, id)).done, 4);
    await until('it is so', async () => (await look(d)).workers.length === 1);
    assert.equal((await done(d, 0)).state, 'done');
    for (const one of await tasks(d)) assert.equal(one.attempts.length, 1);
  });

  daemonTest('a worker that goes ends by the end of its stdin; one that does not is stopped', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { ...sh('trap "" TERM; read a; echo 1; sleep 60'), stop: { grace_seconds: 0.2 } } });
    const one = await done(d, 1);
    await d.post(`${P}/close`);
    assert.equal((await d.get(`${P}/join?wait=20`)).body.joined, true);
    assert.equal((await d.get(`/v1/processes/${one.process}/join?wait=5`)).body.exitcode, -9);
  });
});

suite('batches', () => {
  daemonTest('results come in the order of input or of the ends, from a cursor on', async (d) => {
    await make(d, { processes: 3, spec: sh('read a; sleep $a; echo $a') });
    const made = await batch(d, [{ body: '0.6\n', content_type: 'text/plain' }, { body: '0.1\n', content_type: 'text/plain' }, { body_base64: Buffer.from('0.3\n').toString('base64') }]);
    assert.deepEqual([made.total, made.complete], [3, false]);
    const early = await results(d, made.id);
    assert.deepEqual([early.items, early.next_after, early.complete], [[], null, false]);
    const seen = [];
    for (let after = '', answer; !answer?.complete; after = `&after=${answer.next_after}`) {
      answer = await results(d, made.id, `?order=done&wait=20&limit=1${after}`);
      assert.equal(answer.items.length, 1);
      seen.push(...answer.items.map((one) => [one.index, one.place, one.result]));
    }
    assert.deepEqual(seen, [[1, 1, 0.1], [2, 2, 0.3], [0, 3, 0.6]]);
    const all = await results(d, made.id, '?order=input&wait=5');
    assert.deepEqual(all.items.map((one) => one.result), [0.6, 0.1, 0.3]);
    assert.deepEqual([all.complete, all.next_after], [true, 2]);
    assert.deepEqual((await results(d, made.id, '?after=2')).items, []);
    assert.deepEqual((await d.get(`${P}/batches`)).body.items.map((one) => one.id), [made.id]);
  });

  daemonTest('in the order of input the first that is not done holds back the others', async (d) => {
    await make(d, { processes: 2, spec: sh('read a; sleep $a; echo $a') });
    const { id } = await batch(d, ['0.8\n', '0\n'].map((body) => ({ body, content_type: 'text/plain' })));
    await until('it is so', async () => (await whole(d, id), true) && (await results(d, id, '?order=done')).items.length >= 1);
    const { value, seconds } = await timed(() => results(d, id, '?wait=20'));
    assert.deepEqual(value.items.map((one) => one.result), [0.8, 0]);
    assert.ok(seconds < 5);
  });

  daemonTest('are all or nothing', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['cat'] } });
    assert.deepEqual(faults(problem(await d.post(`${P}/batches`, { tasks: [1, { body_base64: '!' }, { body: 1, content_type: 'text/plain' }, 2] }), 422)),
      ['/tasks/1 invalid_value', '/tasks/2 invalid_value']);
    assert.deepEqual(faults(problem(await d.post(`${P}/batches`, { tasks: [] }), 422)), ['/tasks invalid_value']);
    assert.deepEqual(faults(problem(await d.post(`${P}/batches`, { task: [1] }), 422)), ['/task unknown_field', '/tasks missing_field']);
    assert.deepEqual((await d.get(`${P}/tasks`)).body.items, []);
    problem(await d.call('GET', `${P}/batches/b_01jd8m3q7v0x4t5k6n7p8q9r0s`), 404, 'not_found');
    problem(await d.call('GET', `${P}/batches/nonsense/results`), 404, 'not_found');
    problem(await d.call('GET', `${P}/tasks/t_01jd8m3q7v0x4t5k6n7p8q9r0s`), 404, 'not_found');
    const { id } = await batch(d, [1]);
    assert.deepEqual(faults(problem(await d.call('GET', `${P}/batches/${id}/results?order=x&after=-1&limit=0`), 400)),
      ['after invalid_parameter', 'limit invalid_parameter', 'order invalid_parameter']);
    problem(await d.call('GET', `${P}/tasks?state=odd`), 400, 'invalid_parameter');
  });

  daemonTest('an object of other shape than a message is itself the payload', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['cat'] } });
    const items = [{ body: 1, more: 2 }, { content_type: 'a/b' }, { body: { x: 1 } }, null, 'text', [1, [2]]];
    const { id } = await batch(d, items);
    await whole(d, id);
    assert.deepEqual((await results(d, id)).items.map((one) => one.result), [items[0], items[1], { x: 1 }, null, 'text', [1, [2]]]);
  });
});

suite('the end of a pool', () => {
  daemonTest('close does what is there, takes nothing more, and join tells when all is over', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', spec: lines('sleep 0.2; echo $line') });
    problem(await d.call('GET', `${P}/join`), 409, 'not_closed');
    const { id } = await batch(d, [1, 2, 3, 4]);
    assert.equal((await d.post(`${P}/close`)).body.state, 'closed');
    problem(await submit(d, 1), 409, 'closed');
    problem(await d.post(`${P}/batches`, { tasks: [1] }), 409, 'closed');
    assert.equal((await d.get(`${P}/join?wait=0`)).body.joined, false);
    const joined = (await d.get(`${P}/join?wait=30`)).body;
    assert.deepEqual([joined.joined, joined.done, joined.workers, joined.unfinished], [true, 4, [], 0]);
    assert.deepEqual((await results(d, id)).items.map((one) => one.result), [1, 2, 3, 4]);
  });

  daemonTest('terminate cancels what waits and stops who works', async (d) => {
    await make(d, { processes: 1, spec: sh('sleep 60') });
    const { id } = await batch(d, [1, 2, 3]);
    await until('it is so', async () => (await look(d)).running === 1);
    const waiting = results(d, id, '?order=done&wait=20');
    assert.equal((await d.post(`${P}/terminate`)).body.state, 'terminated');
    assert.ok((await waiting).items.length > 0);
    const joined = (await d.get(`${P}/join?wait=20`)).body;
    assert.deepEqual([joined.joined, joined.cancelled], [true, 3]);
    const all = (await results(d, id)).items;
    assert.deepEqual(all.map((one) => [one.state, one.error.code]), [['cancelled', 'process_ended'], ['cancelled', 'terminated'], ['cancelled', 'terminated']]);
    assert.equal((await d.get('/v1/processes?state=running,stopping')).body.items.length, 0);
  });

  daemonTest('delete stops the workers and tells who waits', async (d) => {
    await make(d, { processes: 2, mode: 'stdio', spec: lines('sleep 60') });
    const { id } = await batch(d, [1, 2, 3]);
    const one = await given(d, 1);
    await until('it is so', async () => (await look(d)).running === 2);
    const waiting = ['', '/results'].map((tail) => d.call('GET', `${P}/batches/${id}${tail}?wait=20`));
    waiting.push(d.call('GET', `${P}/tasks/${one.id}?wait=20`));
    await sleep(0.2);
    await d.delete(P);
    for (const answer of await Promise.all(waiting)) problem(answer, 410, 'deleted');
    await until('it is so', async () => (await d.get('/v1/processes?state=running,stopping')).body.items.length === 0);
    assert.equal((await make(d, { processes: 1, spec: { argv: ['cat'] } })).body.submitted_total, 0);
  });

  daemonTest('a pool of lifetime owner ends with its owner', async (d) => {
    const { id: sid, client: s } = await session(d);
    await s.call('PUT', P, { body: { lifetime: 'owner', processes: 1, mode: 'stdio', spec: { argv: ['cat'] } }, expect: 201 });
    await until('it is so', async () => (await look(d)).workers[0]?.state === 'idle');
    await d.delete(`/v1/sessions/${sid}`);
    problem(await d.call('GET', P), 404, 'not_found');
    await until('it is so', async () => (await d.get('/v1/processes?state=running,stopping')).body.items.length === 0);
  });
});

suite('a pool and others', () => {
  daemonTest('POST /v1/wait tells when nothing is left to do', async (d) => {
    await make(d, { processes: 1, spec: sh('sleep 0.3') });
    assert.deepEqual((await d.post('/v1/wait?wait=0', { any: [{ pool: 'p' }] })).body.ready, [{ pool: 'p' }]);
    await given(d, 1);
    assert.deepEqual((await d.post('/v1/wait?wait=0', { any: [{ pool: 'p' }] })).body.ready, []);
    assert.deepEqual((await d.post('/v1/wait?wait=20', { any: [{ pool: 'p' }] })).body.ready, [{ pool: 'p' }]);
  });

  daemonTest('a process may make a pool and use it; a daemon process may not make one', async (d) => {
    const { client: one } = await liver(d);
    await one.call('PUT', P, { body: { processes: 1, spec: { argv: ['cat'] } }, expect: 201 });
    assert.equal((await one.call('POST', `${P}/tasks?wait=20`, { body: 5, expect: 200 })).body.result, 5);
    const { client: other } = await liver(d, { daemon: true });
    problem(await other.call('PUT', '/v1/pools/q', { body: { processes: 1, spec: { argv: ['cat'] } } }), 403, 'daemonic_parent');
  });

  daemonTest('the stdin of a worker belongs to its pool', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['cat'] } });
    const worker = await until('it is so', async () => (await look(d)).workers.find((one) => one.state === 'idle'));
    problem(await d.call('POST', `/v1/processes/${worker.process}/stdin`, text('1\n')), 409, 'stdin_closed');
  });

  daemonTest('an Idempotency-Key gives one task only', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['cat'] } });
    const headers = { 'Idempotency-Key': 'once' };
    const first = (await submit(d, 1, { headers, expect: 202 })).body;
    assert.equal((await submit(d, 1, { headers, expect: 202 })).body.id, first.id);
    assert.equal((await look(d)).submitted_total, 1);
    problem(await submit(d, 2, { headers }), 422, 'idempotency_key_reused');
    const { client: s } = await session(d);
    const lock = await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    const hold = (await s.call('POST', '/v1/locks/l/acquire', { expect: 200 })).body;
    assert.equal(lock.body.name, 'l');
    await submit(d, 3, { headers: { 'If-Hold': hold.id }, expect: 202 });
    await s.call('POST', `/v1/holds/${hold.id}/release`, { expect: 200 });
    problem(await submit(d, 3, { headers: { 'If-Hold': hold.id } }), 412, 'hold_ended');
  });

  daemonTest('a call that waits is replayed with its result, and as a task that was given when the server died before', async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['cat'] } });
    const again = (key, body) => d.call('POST', '/v1/pools/p/tasks?wait=60', { body, headers: { 'Idempotency-Key': key } });
    const first = await again('done', [1]);
    assert.deepEqual([first.status, first.body.state, first.body.result], [200, 'done', [1]]);
    await d.killServer();
    const replayed = await again('done', [1]);
    assert.deepEqual([replayed.status, replayed.body, replayed.headers.location], [200, first.body, first.headers.location]);
    assert.equal(replayed.headers['idempotency-replayed'], 'true');

    await d.call('PUT', '/v1/pools/slow', { body: { processes: 1, spec: sh('sleep 1000') }, expect: 201 });
    const slow = () => d.call('POST', '/v1/pools/slow/tasks?wait=60', { body: 1, headers: { 'Idempotency-Key': 'slow' } });
    const cut = slow().catch(() => {});
    await until('the task runs', async () => (await d.get('/v1/pools/slow/tasks?state=running')).body.items.length === 1);
    await d.killServer();
    await cut;
    const promised = await slow();
    assert.deepEqual([promised.status, promised.body.pool, promised.headers['idempotency-replayed']], [202, 'slow', 'true']);
    assert.equal((await d.get('/v1/pools/slow')).body.submitted_total, 1);
    await d.delete('/v1/pools/slow');
  });

  daemonTest('a client that goes away leaves its task', async (d) => {
    await make(d, { processes: 1, spec: sh('sleep 0.3; echo 1') });
    const abort = new AbortController();
    const call = fetch(`${d.url}${P}/tasks?wait=20`, { method: 'POST', body: '1', headers: { Authorization: `Bearer ${d.token}` }, signal: abort.signal });
    await until('it is there', async () => (await look(d)).unfinished === 1);
    abort.abort();
    await assert.rejects(call);
    const items = await until('it is so', async () => { const { items } = (await d.get(`${P}/tasks?state=done`)).body; return items.length === 1 && items; });
    assert.equal(items[0].result, 1);
  });

  daemonTest('results are dropped by number and by bytes, and said to be', { config: 'pools.keep_tasks = 3\npools.max_total_bytes = 1M\n' }, async (d) => {
    await make(d, { processes: 1, mode: 'stdio', spec: { argv: ['grep', '-v', '--line-buffered', 'z'] } }); // an answer would take up room, too
    const { id } = await batch(d, ['a', 'b', 'x'.repeat(250000), 'y'.repeat(250000)]);
    assert.equal((await whole(d, id)).done, 4);
    await given(d, 'z'.repeat(560000));
    const now = await whole(d, id);
    assert.deepEqual([now.dropped, now.complete], [3, true], JSON.stringify(now));
    assert.deepEqual((await results(d, id)).items.map((one) => one.state), ['dropped', 'dropped', 'dropped', 'done']);
    problem(await d.post(`${P}/batches`, { tasks: ['q'.repeat(600000), 'r'.repeat(600000)] }), 507, 'storage_full');
  });

  daemonTest('results alone do not fill the memory', { config: 'pools.max_total_bytes = 1M\n' }, async (d) => {
    await make(d, { processes: 2, spec: sh('head -c 300000 /dev/zero') });
    const { id } = await batch(d, [1, 2, 3, 4, 5, 6]);
    assert.equal((await whole(d, id)).complete, true);
    const states = (await results(d, id, '?order=done')).items.map((one) => one.state);
    assert.deepEqual(states, ['dropped', 'dropped', 'dropped', 'done', 'done', 'done']);
    const now = await whole(d, id);
    assert.deepEqual([now.done, now.dropped, now.unfinished], [3, 3, 0]);
  });

  daemonTest('an end is told by who ended first', async (d) => {
    await make(d, { processes: 1, spec: { argv: ['true'] } });
    const one = await done(d, 1);
    assert.ok(between(one.submitted_at, one.finished_at) >= 0);
    assert.ok(between(one.started_at, one.finished_at) >= 0);
  });
});
