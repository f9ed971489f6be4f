// What a process wrote: exact bytes, and records with numbers, times and filters.
import assert from 'node:assert/strict';
import { daemonTest, soon, suite } from '../lib/daemon.mjs';
import { between, lineBytes, problem, range, texts, TIME } from '../lib/check.mjs';
import { now } from '../lib/wait.mjs';

const py = (d, code, more) => d.run({ argv: ['python3', '-u', '-c', `import os,sys,time\n${code}`], ...more });
const numbered = (count) => `sys.stdout.write("".join("line %d\\n" % i for i in range(1, ${count + 1})))`;
const page = async (d, id, query = '', options = {}) => (await d.get(`/v1/processes/${id}/logs${query}`, { headers: { Accept: 'application/json' }, ...options })).body;

suite('raw output', () => {
  daemonTest('is given byte by byte as it was written', async (d) => {
    const { id } = await py(d, 'os.write(1, bytes(range(256)) * 3 + b"\\n\\r\\n\\0\\xff\\xfe no newline")');
    const wanted = Buffer.concat([...Array(3).fill(Buffer.from(range(0, 255))), Buffer.from('\n\r\n\0'), Buffer.from([0xff, 0xfe]), Buffer.from(' no newline')]);
    for (const accept of ['application/octet-stream', 'text/plain', '*/*', undefined]) {
      const answer = await d.get(`/v1/processes/${id}/logs`, { headers: accept ? { Accept: accept } : {} });
      assert.ok(answer.bytes.equals(wanted), `${accept}`);
      assert.match(answer.type, accept === 'application/octet-stream' ? /^application\/octet-stream/ : /^text\/plain/);
    }
  });

  daemonTest('of megabytes is complete', async (d) => {
    const { id, output } = await py(d, 'b = bytes((i * 31 + (i >> 8)) & 255 for i in range(1 << 20))\nfor _ in range(5): sys.stdout.buffer.write(b)');
    const bytes = await d.logsBytes(id);
    assert.equal(output.stdout_bytes, 5 << 20);
    assert.equal(bytes.length, 5 << 20);
    assert.ok(bytes.every((one, i) => one === (((i & 0xfffff) * 31 + ((i & 0xfffff) >> 8)) & 255)));
  });

  daemonTest('can be one stream alone, or filtered by records', async (d) => {
    const { id } = await py(d, 'for i in range(1, 7): os.write(1 + i % 2, b"line %d\\n" % i); time.sleep(0.05)');
    assert.equal(await d.logsText(id, '?stream=stdout'), 'line 2\nline 4\nline 6\n');
    assert.equal(await d.logsText(id, '?stream=stderr'), 'line 1\nline 3\nline 5\n');
    assert.equal(await d.logsText(id, '?tail=2'), 'line 5\nline 6\n');
    assert.equal(await d.logsText(id, '?after=4'), 'line 5\nline 6\n');
  });

  daemonTest('of a process that wrote nothing is empty', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    assert.equal((await d.logsBytes(id)).length, 0);
    const body = await page(d, id);
    assert.deepEqual([body.items, body.first_seq, body.last_seq, body.ended], [[], null, null, true]);
  });
});

suite('records', () => {
  daemonTest('are lines, numbered from 1 over both streams, with their time', async (d) => {
    const done = await py(d, 'for i in range(1, 101): os.write(1 + i % 2, b"line %d\\n" % i)');
    const items = await d.logs(done.id);
    assert.deepEqual(items.map((one) => one.seq), range(1, 100));
    assert.deepEqual(texts(items).sort(), range(1, 100).map((i) => `line ${i}`).sort());
    for (const one of items) {
      assert.match(one.at, TIME);
      assert.ok(between(done.started_at, one.at) > -0.1 && between(one.at, done.exited_at) > -0.1);
      assert.equal(one.partial, false);
      assert.equal(one.stream, Number(one.text.slice(5)) % 2 ? 'stderr' : 'stdout');
    }
    for (const stream of ['stdout', 'stderr']) {
      const seen = texts(items.filter((one) => one.stream === stream)).map((text) => Number(text.slice(5)));
      assert.deepEqual(seen, [...seen].sort((a, b) => a - b), 'each stream is in order');
    }
  });

  daemonTest('keep empty lines, carriage returns, NUL and what is not UTF-8', async (d) => {
    const { id } = await py(d, 'os.write(1, b"\\n\\na\\r\\nn\\0l\\n\\xff\\xfe\\n\\xc3\\xbc\\n\\xed\\xa0\\x80\\nlast")');
    const items = await d.logs(id);
    assert.deepEqual(items.map((one) => [one.seq, one.text ?? Buffer.from(one.data_base64, 'base64').toString('hex'), one.partial]), [
      [1, '', false], [2, '', false], [3, 'a\r', false], [4, 'n\0l', false], [5, 'fffe', false], [6, 'ü', false], [7, 'eda080', false], [8, 'last', false]]);
    assert.ok('data_base64' in items[4] && !('text' in items[4]));
  });

  daemonTest('of a line over 65536 bytes are pieces, partial but for the last', async (d) => {
    const { id } = await py(d, 'os.write(1, b"short\\n"); sys.stdout.write("x" * 200000 + "\\nafter\\n")');
    const items = await d.logs(id);
    assert.deepEqual(items.map((one) => [one.text.length, one.partial]), [[5, false], [65536, true], [65536, true], [65536, true], [3392, false], [5, false]]);
    assert.equal(await d.logsText(id), `short\n${'x'.repeat(200000)}\nafter\n`);
  });

  daemonTest('of a line over 65536 bytes are text where it is: no character is cut', async (d) => {
    for (const [before, character] of [[65535, 'é'], [65534, '€'], [65535, '€'], [65533, '🙂'], [65534, '🙂'], [65535, '🙂']]) {
      const { id } = await py(d, `sys.stdout.buffer.write(("x" * ${before} + "${character}" * 70000 + "\\n").encode())`);
      const items = await d.logs(id);
      assert.ok(items.length > 2 && items.every((one) => one.text !== undefined), `${before} ${character}`);
      assert.equal(items.map((one) => one.text).join(''), 'x'.repeat(before) + character.repeat(70000));
      assert.deepEqual(items.map((one) => one.partial), items.map((_, i) => i < items.length - 1));
      assert.deepEqual(items.map((one) => one.seq), items.map((_, i) => i + 1));
    }
    const { id } = await py(d, 'sys.stdout.buffer.write(b"\\x80" * 200000 + b"\\n")');
    assert.deepEqual((await d.logs(id)).map((one) => lineBytes(one).length), [65539, 65539, 65539, 3383]);
  });

  daemonTest('of a line of exactly 65536 bytes are one', async (d) => {
    const { id } = await py(d, 'sys.stdout.write("x" * 65536 + "\\n" + "y" * 65537 + "\\n")');
    assert.deepEqual((await d.logs(id)).map((one) => [one.text.length, one.partial]), [[65536, false], [65536, true], [1, false]]);
  });

  daemonTest('of a line that is written in pieces, mixed with the other stream, stay whole', async (d) => {
    const { id } = await py(d, 'for i in range(50):\n  os.write(1, b"out-"); os.write(2, b"err-"); os.write(1, b"%d\\n" % i); os.write(2, b"%d\\n" % i)');
    const items = await d.logs(id);
    for (const [stream, word] of [['stdout', 'out'], ['stderr', 'err']]) {
      assert.deepEqual(texts(items.filter((one) => one.stream === stream)), range(0, 49).map((i) => `${word}-${i}`));
    }
    assert.deepEqual(items.map((one) => one.seq), range(1, 100));
  });

  daemonTest('joined with newlines are the raw bytes, whatever a child throws at them', async (d) => {
    const { id } = await py(d, 'import random\nr = random.Random(7)\nfor _ in range(400): os.write(1, bytes(r.choice(b"ab\\n\\xff\\0\\xc3\\xbc") for _ in range(r.randrange(1, 4000))))');
    const raw = await d.logsBytes(id);
    const items = await d.logs(id);
    const joined = Buffer.concat(items.map((one) => Buffer.concat([lineBytes(one), Buffer.from(one.partial ? '' : '\n')])));
    assert.ok(raw.equals(joined) || Buffer.concat([raw, Buffer.from('\n')]).equals(joined));
    assert.deepEqual(items.map((one) => one.seq), range(1, items.length));
  });
});

suite('asking for a part', () => {
  daemonTest('after, before, limit and tail choose by number', async (d) => {
    const { id } = await py(d, numbered(1000));
    const numbers = async (query) => (await page(d, id, query)).items.map((one) => one.seq);
    assert.deepEqual(await numbers('?limit=500'), range(1, 500));
    assert.deepEqual(await numbers(''), range(1, 100));
    assert.deepEqual(await numbers('?after=990'), range(991, 1000));
    assert.deepEqual(await numbers('?after=1000'), []);
    assert.deepEqual(await numbers('?after=9007199254740991'), []);
    assert.deepEqual(await numbers('?before=4'), [1, 2, 3]);
    assert.deepEqual(await numbers('?after=10&before=14'), [11, 12, 13]);
    assert.deepEqual(await numbers('?tail=3'), [998, 999, 1000]);
    assert.deepEqual(await numbers('?tail=0'), []);
    assert.deepEqual(await numbers('?tail=2&before=500'), [498, 499]);
    assert.deepEqual((await d.logs(id)).map((one) => one.seq), range(1, 1000));
  });

  daemonTest('the page tells where to go on, what is kept and whether more will come', async (d) => {
    const { id } = await py(d, numbered(250));
    const first = await page(d, id, '?limit=200');
    assert.deepEqual([first.next_after, first.first_seq, first.last_seq, first.next_page_token], [200, 1, 250, null]);
    const second = await page(d, id, '?limit=200&after=200');
    assert.deepEqual([second.items.length, second.next_after, second.ended], [50, 250, true]);
    const alive = await d.sh('echo one; exec sleep 1000');
    const waited = await page(d, alive.id, '?wait=30');
    assert.deepEqual([texts(waited.items), waited.ended], [['one'], false]);
  });

  daemonTest('grep takes an extended regular expression and matches lines', async (d) => {
    const { id } = await py(d, `${numbered(300)}\nprint("a+b [x] grüße")`);
    const found = async (expression, more = '') => texts((await page(d, id, `?grep=${encodeURIComponent(expression)}${more}`)).items);
    assert.deepEqual(await found('^line 29?$'), ['line 2', 'line 29']);
    assert.deepEqual(await found('(^line 1|300)$'), ['line 1', 'line 300']);
    assert.deepEqual(await found('a\\+b \\[x\\]'), ['a+b [x] grüße']);
    assert.deepEqual(await found('grü'), ['a+b [x] grüße']);
    assert.deepEqual(await found('nothing like it'), []);
    assert.deepEqual(await found('^line', '&tail=2'), ['line 299', 'line 300']);
    assert.deepEqual(await found('^line', '&after=298'), ['line 299', 'line 300']);
    assert.equal((await d.call('GET', `/v1/processes/${id}/logs?grep=%28`)).status, 400);
  });

  daemonTest('a grep that is as dear as one can be finds what it should and delays nobody', async (d) => {
    const { id } = await py(d, 'for i in range(40): os.write(1, b"a" * 20000 + b"\\n")\nos.write(1, b"a" * 100 + b"b\\n")');
    const other = await py(d, numbered(10));
    const dear = ['(a|aa)*(a|aa)*(a|aa)*b$', '(((a*)*)*)*b', 'a{1,140}b', '(a?){100}a{100}b', '[ab]*[ab]*[ab]*[ab]*b'];
    let done = false;
    const greps = Promise.all(dear.map(async (expression) => {
      const query = `?grep=${encodeURIComponent(expression)}`;
      assert.deepEqual((await page(d, id, query)).items.map((one) => one.seq), [41], expression);
      assert.deepEqual((await page(d, id, `${query}&tail=1`)).items.map((one) => one.seq), [41], expression);
    })).finally(() => { done = true; });
    const waits = [];
    for (let first = true; first || !done; first = false) {
      const began = now();
      assert.equal((await page(d, other.id, '')).items.length, 10);
      await d.system();
      waits.push(now() - began);
    }
    await soon(greps, 'they have searched', 60);
    assert.ok(Math.max(...waits) < 10, `others waited ${Math.max(...waits)} s`);
  });

  daemonTest('grep in raw form gives the matching lines', async (d) => {
    const { id } = await py(d, numbered(50));
    assert.equal(await d.logsText(id, '?grep=5%24'), 'line 5\nline 15\nline 25\nline 35\nline 45\n');
  });

  daemonTest('since and until choose by time', async (d) => {
    const { id } = await py(d, 'for i in range(1, 6): print("line", i, flush=True); time.sleep(0.15)');
    const items = await d.logs(id);
    const at = encodeURIComponent(items[2].at);
    assert.deepEqual(texts((await page(d, id, `?since=${at}`)).items), ['line 3', 'line 4', 'line 5']);
    assert.deepEqual(texts((await page(d, id, `?until=${at}`)).items), ['line 1', 'line 2']);
    assert.deepEqual(texts((await page(d, id, `?since=${encodeURIComponent(items[1].at)}&until=${at}`)).items), ['line 2']);
    assert.deepEqual((await page(d, id, '?since=2100-01-01T00:00:00Z')).items, []);
    assert.equal((await page(d, id, '?since=2000-01-01T00:00:00%2B02:00')).items.length, 5);
  });

  daemonTest('stream chooses the stream and keeps the numbers', async (d) => {
    const { id } = await py(d, 'for i in range(1, 11): os.write(1 + i % 2, b"%d\\n" % i); time.sleep(0.03)');
    const out = (await page(d, id, '?stream=stdout')).items;
    assert.deepEqual(out.map((one) => [one.seq, one.text, one.stream]), [2, 4, 6, 8, 10].map((i) => [i, `${i}`, 'stdout']));
    assert.equal((await page(d, id, '?stream=stdout,stderr')).items.length, 10);
    assert.deepEqual(texts((await page(d, id, '?stream=stderr&tail=2')).items), ['7', '9']);
  });

  daemonTest('an Accept that nothing fits is 406', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    problem(await d.call('GET', `/v1/processes/${id}/logs`, { headers: { Accept: 'image/png' } }), 406, 'not_acceptable');
  });

  daemonTest('quality values decide', async (d) => {
    const { id } = await d.run({ argv: ['echo', 'x'] });
    const type = async (accept) => (await d.get(`/v1/processes/${id}/logs`, { headers: { Accept: accept } })).type;
    assert.match(await type('text/plain;q=0.5, application/json'), /^application\/json/);
    assert.match(await type('application/json;q=0.1, application/x-ndjson;q=0.9'), /^application\/x-ndjson/);
    assert.match(await type('image/png, application/octet-stream'), /^application\/octet-stream/);
  });
});

suite('deleting output', () => {
  daemonTest('before a number gives those records no more, and a gap stands for them', async (d) => {
    const { id } = await py(d, numbered(1000));
    assert.equal((await d.call('DELETE', `/v1/processes/${id}/logs`)).status, 400);
    const { body } = await d.call('DELETE', `/v1/processes/${id}/logs?before=900`, { expect: 200 });
    assert.ok(body.deleted_bytes >= 0);
    const items = await d.logs(id);
    const kept = items.filter((one) => !one.gap);
    assert.deepEqual(kept.map((one) => one.seq), range(900, 1000));
    const gaps = items.filter((one) => one.gap);
    assert.equal(gaps.length, 1);
    assert.equal(items[0], gaps[0]);
    assert.ok(['retention', 'trimmed'].includes(gaps[0].gap.reason), JSON.stringify(gaps));
    assert.ok(gaps[0].gap.records === null || gaps[0].gap.records === 899);
  });

  daemonTest('leaves the process alone, which writes on', async (d) => {
    const { id } = await d.sh('for i in 1 2 3; do echo $i; done; read x; echo 4', { stdin: 'pipe' });
    await page(d, id, '?after=2&wait=30');
    await d.call('DELETE', `/v1/processes/${id}/logs?before=1000000`, { expect: 200 });
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    assert.equal((await d.join(id)).exitcode, 0);
    assert.deepEqual((await d.logs(id)).filter((one) => !one.gap).map((one) => one.text).at(-1), '4');
  });
});

suite('keeping', () => {
  daemonTest('logs are the same after a restart and after a crash', async (d) => {
    const { id } = await py(d, `${numbered(500)}\nos.write(2, b"\\xff tail")`);
    const before = [await d.logs(id), await d.logsText(id)];
    await d.killServer();
    assert.deepEqual([await d.logs(id), await d.logsText(id)], before);
    await d.restart();
    assert.deepEqual([await d.logs(id), await d.logsText(id)], before);
  });
});
