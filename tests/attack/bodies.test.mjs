// Attacks on those who read bodies: JSON that two readers understand differently, that recurses, that is large for
// little, or that means something to exec.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { answersSoon, attack, repelled, request } from './wire.mjs';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const send = (d, raw, where = '/v1/processes') => d.call('POST', where, { raw, headers: JSON_TYPE });
const nothingMade = async (d) => {
  assert.deepEqual(await d.list(), []);
  await answersSoon(d);
};

suite('JSON', () => {
  daemonTest('nests deeper than a stack is high', async (d) => {
    for (const depth of [65, 1000, 100_000, 450_000]) {
      for (const [open, close] of [['[', ']'], ['{"a":', '}'], ['[{"a":[', ']}]']]) {
        const count = Math.min(depth, Math.floor(1_000_000 / (open.length + close.length)));
        for (const raw of [`{"argv":["true"],"x":${open.repeat(count)}1${close.repeat(count)}}`, `{"argv":["true"],"x":${open.repeat(count)}`]) problem(await send(d, raw), 400, 'invalid_json');
      }
    }
    problem(await send(d, `{"argv":["true","${'\\'.repeat(99_999)}`), 400, 'invalid_json');
    await nothingMade(d);
  });

  daemonTest('says a thing twice, and each reader takes another one', async (d) => {
    for (const raw of ['{"argv":["false"],"argv":["true"]}', '{"argv":["true"],"user":"nobody","user":"root"}', '{"argv":["true"],"\\u0061rgv":["false"]}', '{"argv":["true"],"env":{"A":"1","\\u0041":"2"}}',
      '{"argv":["true"],"rlimits":{"nproc":1,"nproc":100000}}', '{"argv":["true"],"stop":{"signal":"TERM","signal":"KILL"}}']) problem(await send(d, raw), 400, 'invalid_json');
    for (const raw of ['{"argv":["true"],"argv\\u0000":["false"]}', '{"argv":["true"],"ARGV":["false"]}', '{"argv":["true"],"__proto__":{"user":"root"}}', '{"argv":["true"],"constructor":1}']) {
      assert.ok([400, 422].includes((await send(d, raw)).status), raw);
    }
    await nothingMade(d);
  });

  daemonTest('holds numbers that are none, or that no word can hold', async (d) => {
    for (const number of ['1e400', '-1e400', 'NaN', 'Infinity', '-Infinity', '0x10', '01', '+1', '1.', '.5', '1e', '--1']) {
      problem(await send(d, `{"argv":["true"],"timeout_seconds":${number}}`), 400, 'invalid_json');
    }
    for (const number of ['9223372036854775807', '9223372036854775808', '-9223372036854775809', '18446744073709551616', '1e300', '-1', '-0.5', '1e19']) {
      for (const field of [`"timeout_seconds":${number}`, `"nice":${number}`, `"output":{"max_bytes":${number}}`, `"stop":{"grace_seconds":${number}}`, `"stop":{"signal":${number}}`, `"rlimits":{"nofile":${number}}`, `"user":${number}`]) {
        if (number === '-1' && field.startsWith('"nice"')) continue;
        const answer = await send(d, `{"argv":["true"],${field}}`);
        assert.ok([400, 422].includes(answer.status), `${field}: ${answer}`);
      }
      for (const body of [`{"ttl_seconds":${number}}`]) assert.ok([400, 422].includes((await send(d, body, '/v1/sessions')).status), body);
      const answer = await d.call('PUT', '/v1/semaphores/s', { raw: `{"value":${number}}`, headers: JSON_TYPE });
      assert.ok([400, 422].includes(answer.status), `value ${number}: ${answer}`);
    }
    await nothingMade(d);
  });

  daemonTest('holds text that is none', async (d) => {
    const cases = ['{"argv":["\\ud800"]}', '{"argv":["\\udc00\\ud800"]}', '{"argv":["\\ud800x"]}', '\ufeff{"argv":["true"]}', '{"argv":["true"]}\0', '{"argv":["true"]}\ufeff', '{"argv":["true"]} {}', '\0{"argv":["true"]}',
      '{"argv":["tr\u0000ue"]}', '{"argv":["tr\u001bue"]}', "{'argv':['true']}", '{"argv":["true"],}', '{argv:["true"]}', '/**/{"argv":["true"]}', '{"argv":["true"]}//', '{"argv":["\\x41"]}', '\u00a0{"argv":["true"]}'];
    for (const raw of cases) problem(await send(d, raw), 400, 'invalid_json');
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xe0, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80]]) {
      problem(await send(d, Buffer.concat([Buffer.from('{"argv":["true'), Buffer.from(bytes), Buffer.from('"]}')])), 400, 'invalid_json');
    }
    for (const utf of ['utf16le']) problem(await send(d, Buffer.from('{"argv":["true"]}', utf)), 400, 'invalid_json');
    await nothingMade(d);
  });

  daemonTest('hides a NUL in what exec, the kernel or a list will cut there', async (d) => {
    for (const raw of ['{"argv":["true\\u0000x"]}', '{"argv":["true","a\\u0000b"]}', '{"shell":"true\\u0000; id"}', '{"argv":["true"],"name":"a\\u0000b"}', '{"argv":["true"],"cwd":"/tmp\\u0000/x"}', '{"argv":["true"],"env":{"A":"a\\u0000b"}}',
      '{"argv":["true"],"env":{"A\\u0000B":"a"}}', '{"argv":["true"],"labels":{"a":"b\\u0000c"}}', '{"argv":["true"],"labels":{"a\\u0000b":"c"}}', '{"argv":["true"],"user":"nobody\\u0000root"}', '{"argv":["true"],"stdin":{"text":"a\\u0000b"}}',
      '{"argv":["true"],"on_exit":{"queue":"a\\u0000b"}}']) {
      const answer = await send(d, raw);
      assert.ok([400, 422].includes(answer.status), `${raw}: ${answer}`);
    }
    await nothingMade(d);
  });

  daemonTest('is small to send and large to read', async (d) => {
    const many = (count, item) => Array.from({ length: count }, (_, i) => item(i)).join(',');
    for (const [what, raw] of [['half a million arguments', `{"argv":[${many(250_000, () => '""')}]}`], ['a hundred thousand variables', `{"argv":["true"],"env":{${many(90_000, (i) => `"${i}":""`)}}}`],
      ['a hundred thousand fields', `{"argv":["true"],${many(100_000, (i) => `"${i}":0`)}}`], ['keys that are nearly the same', `{"argv":["true"],"labels":{${many(30_000, (i) => `"${'a'.repeat(20)}${i}":""`)}}}`],
      ['a long number', `{"argv":["true"],"nice":${'9'.repeat(900_000)}}`], ['a long string', `{"argv":["true","${'x'.repeat(1_000_000)}"]}`], ['empty arrays', `{"argv":["true"],"x":[${many(300_000, () => '[]')}]}`]]) {
      const answer = await send(d, raw);
      assert.ok([400, 413, 422].includes(answer.status), `${what}: ${answer.status}`);
      await answersSoon(d);
    }
    await nothingMade(d);
  });
});

suite('a body', () => {
  daemonTest('is larger than it may be, with a length, in chunks, and without end', async (d) => {
    const lines = 'Content-Type: application/json\r\n';
    await repelled(d, request(d, 'POST /v1/processes', `${lines}Content-Length: 1073741824\r\n`), 413, 'a length of 1 GiB');
    const blanks = ' '.repeat(2 << 20);
    const closing = `${lines}Connection: close\r\n`;
    assert.deepEqual((await attack(d, request(d, 'POST /v1/sessions', `${closing}Content-Length: ${blanks.length}\r\n`, blanks))).statuses, [413]);
    const chunk = `10000\r\n${' '.repeat(65536)}\r\n`;
    assert.deepEqual((await attack(d, request(d, 'POST /v1/sessions', `${closing}Transfer-Encoding: chunked\r\n`, `${chunk.repeat(32)}0\r\n\r\n`))).statuses, [413]);
    for (const who of [{}, { token: null }]) {
      const endless = await attack(d, request(d, 'POST /v1/sessions', `${lines}Transfer-Encoding: chunked\r\n`, chunk.repeat(600), who));
      assert.ok(endless.closed, 'chunks without end');
      for (const status of endless.statuses) assert.equal(status, 413); // a reset may have overtaken it
    }
    await nothingMade(d);
  });

  daemonTest('is sent where there is none, or by whom may not', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const body = '{"kill":true}';
    const lines = `Content-Type: application/json\r\nConnection: close\r\nContent-Length: ${body.length}\r\n`;
    assert.deepEqual((await attack(d, request(d, `DELETE /v1/processes/${id}`, lines, body))).statuses, [400]);
    assert.deepEqual((await attack(d, request(d, `DELETE /v1/processes/${id}?kill=true`, lines, body, { token: null }))).statuses, [401]);
    assert.deepEqual((await attack(d, request(d, 'OPTIONS /v1/processes', lines, body))).statuses, [204]);
    assert.equal((await d.process(id)).alive, true);
  });

  daemonTest('of a payload is larger than it may be', { config: 'max_payload_bytes = 1M\n' }, async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    await d.call('PUT', '/v1/values/v', { body: {}, expect: [201, 422] });
    const { id } = await d.spawn({ argv: ['sleep', '1000'], stdin: 'pipe' });
    const raw = Buffer.alloc((1 << 20) + 1);
    for (const where of ['/v1/queues/q/messages', `/v1/processes/${id}/stdin`]) {
      for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }]) {
        problem(await d.call('POST', where, { raw, headers: { 'Content-Type': 'application/octet-stream', ...headers } }), 413, 'payload_too_large');
      }
    }
    assert.equal((await d.get('/v1/queues/q')).body.ready, 0);
    await answersSoon(d);
  });
});

suite('an environment or a command line', () => {
  daemonTest('is none that exec could be given', async (d) => {
    for (const more of [{ env: { '': 'x' } }, { env: { '=x': 'y' } }, { env: { 'A=B': 'c' } }, { env: ['A=B'] }, { env: { A: ['b'] } }, { argv: [] }, { argv: 'true' }, { argv: [''.padEnd(200_000, 'x')] },
      { argv: Array(5000).fill('x') }, { env: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`A${i}`, 'x'])) }]) {
      problem(await d.post('/v1/processes', { argv: ['true'], ...more }), 422);
    }
    const large = JSON.stringify({ argv: ['true'], env: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`A${i}`, 'x'.repeat(100_000)])) });
    const lines = `Content-Type: application/json\r\nConnection: close\r\nContent-Length: ${large.length}\r\n`;
    assert.deepEqual((await attack(d, request(d, 'POST /v1/processes', lines, large))).statuses, [413], '10 MB of environment');
    await nothingMade(d);
  });

  daemonTest('makes the child believe another daemon or another self', async (d) => {
    const lies = { FORKFUL_URL: 'http://evil.test', FORKFUL_SOCKET: '/tmp/evil.sock', FORKFUL_TOKEN: 'fkf_evil', FORKFUL_PROCESS_ID: 'p_evil', FORKFUL_PROCESS_NAME: 'evil', FORKFUL_ANY: 'evil' };
    const { id } = await d.run({ shell: 'env | grep ^FORKFUL_', env: lies });
    const text = await d.logsText(id);
    assert.doesNotMatch(text, /evil/);
    assert.match(text, new RegExp(`^FORKFUL_URL=${d.url}$`, 'm'));
  });
});
