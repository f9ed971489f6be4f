// Values of bytes: shared memory's stand-in, read and written in parts, also in place.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { faults, problem, range } from '../lib/check.mjs';
import { make, get, done, refused } from '../lib/values.mjs';

suite('a value of bytes', () => {
  const octets = { 'Content-Type': 'application/octet-stream' };
  const raw = { Accept: 'application/octet-stream' };
  const makeBytes = (d, bytes, query = '', options = {}) => d.call('PUT', `/v1/values/v${query}`, { raw: Buffer.from(bytes), headers: octets, expect: 201, ...options });
  const read = (d, headers = {}, options = {}) => d.call('GET', '/v1/values/v', { headers: { ...raw, ...headers }, ...options });
  const write = (d, bytes, query = '', headers = {}) => d.call('POST', `/v1/values/v/write${query}`, { raw: Buffer.from(bytes), headers: { ...octets, ...headers } });
  const bytes = async (d) => (await read(d)).bytes;
  const all = Buffer.from(range(0, 255));

  daemonTest('is made of a body, and again of the same one', async (d) => {
    const { body } = await makeBytes(d, all);
    assert.deepEqual([body.type, body.durable, body.length, body.size_bytes, body.version, body.value], ['bytes', true, 256, 256, 1, undefined]);
    assert.deepEqual(Buffer.from(body.value_base64, 'base64'), all);
    await makeBytes(d, all, '', { expect: 200 });
    problem(await makeBytes(d, 'other', '', { expect: 409 }), 409, 'config_differs');
    problem(await makeBytes(d, all, '?durable=false', { expect: 409 }), 409, 'config_differs');
    const json = { type: 'bytes', value_base64: all.toString('base64') };
    assert.equal((await d.call('PUT', '/v1/values/v', { body: json, expect: 200 })).body.version, 1);
    const answer = await read(d, {}, { expect: 200 });
    assert.deepEqual(answer.bytes, all);
    assert.deepEqual([answer.type, answer.headers.etag, answer.headers['accept-ranges']], ['application/octet-stream', '"1"', 'bytes']);
    const zeros = await d.call('PUT', '/v1/values/zeros', { body: { type: 'bytes', length: 10 }, expect: 201 });
    assert.equal(zeros.body.value_base64, Buffer.alloc(10).toString('base64'));
  });

  daemonTest('may be empty', async (d) => {
    await makeBytes(d, '');
    assert.deepEqual([(await read(d, {}, { expect: 200 })).bytes.length, (await d.get('/v1/values/v')).body.value_base64], [0, '']);
    problem(await read(d, { Range: 'bytes=0-' }), 416, 'range_not_satisfiable');
  });

  daemonTest('is given in part', async (d) => {
    await makeBytes(d, all);
    const part = async (header, first, last) => {
      const answer = await read(d, { Range: header }, { expect: 206 });
      assert.equal(answer.headers['content-range'], `bytes ${first}-${last}/256`);
      assert.deepEqual(answer.bytes, all.subarray(first, last + 1));
    };
    await part('bytes=0-0', 0, 0);
    await part('bytes=10-19', 10, 19);
    await part('bytes=250-', 250, 255);
    await part('bytes=-6', 250, 255);
    await part('bytes=200-1000', 200, 255);
    const beyond = await read(d, { Range: 'bytes=256-' });
    problem(beyond, 416, 'range_not_satisfiable');
    assert.equal(beyond.headers['content-range'], 'bytes */256');
    for (const header of ['bytes=0-1,5-6', 'lines=0-1', 'bytes=5-1']) assert.equal((await read(d, { Range: header }, { expect: 200 })).bytes.length, 256, header);
    assert.equal((await d.get('/v1/values/v', { headers: { Range: 'bytes=0-1' }, expect: 200 })).body.length, 256, 'JSON has no parts');
  });

  daemonTest('is given in part only to who knows this version, and not at all to who has it', async (d) => {
    await makeBytes(d, all);
    const partly = { Range: 'bytes=0-9' };
    await read(d, { ...partly, 'If-Range': '"1"' }, { expect: 206 });
    await read(d, { ...partly, 'If-Range': '"2"' }, { expect: 200 });
    await read(d, { ...partly, 'If-Range': 'W/"1"' }, { expect: 200 });
    await read(d, { ...partly, 'If-None-Match': '"1"' }, { expect: 304 });
    const head = await d.call('HEAD', '/v1/values/v', { headers: { ...raw, ...partly } });
    assert.deepEqual([head.status, head.headers['content-length'], head.bytes.length], [206, '10', 0]);
  });

  daemonTest('is written in place, within its bounds', async (d) => {
    await makeBytes(d, '0123456789');
    assert.deepEqual((await write(d, 'ab', '?offset=3')).body, { written_bytes: 2, version: 2, length: 10 });
    assert.equal((await bytes(d)).toString(), '012ab56789');
    await write(d, 'XY', '?offset=8');
    assert.deepEqual((await write(d, '', '?offset=10')).body, { written_bytes: 0, version: 4, length: 10 });
    await write(d, '!');
    assert.equal((await bytes(d)).toString(), '!12ab567XY');
    for (const [data, offset] of [['abc', 8], ['', 11], ['x', 10], ['0123456789a', 0]]) {
      assert.deepEqual(faults(problem(await write(d, data, `?offset=${offset}`), 422, 'out_of_range')), ['offset out_of_range']);
    }
    assert.equal((await read(d)).headers.etag, '"5"');
    await make(d, { value: {} }, 'json');
    problem(await d.call('POST', '/v1/values/json/write', { raw: 'x', headers: octets }), 422, 'type_mismatch');
    problem(await d.call('PUT', '/v1/values/json/value', { raw: 'x', headers: octets }), 422, 'type_mismatch');
    problem(await d.call('GET', '/v1/values/json', { headers: raw }), 406, 'not_acceptable');
  });

  daemonTest('is replaced, longer or shorter, and only by who knows it', async (d) => {
    await makeBytes(d, 'abc');
    const replace = (data, headers = {}) => d.call('PUT', '/v1/values/v/value', { raw: Buffer.from(data), headers: { ...octets, ...headers } });
    assert.deepEqual((await replace('abcdef')).body, { written_bytes: 6, version: 2, length: 6 });
    problem(await replace('x', { 'If-Match': '"1"' }), 412, 'version_differs');
    problem(await write(d, 'x', '', { 'If-Match': '"1"' }), 412, 'version_differs');
    problem(await write(d, 'x', '', { 'If-Hold': 'h_none' }), 412, 'hold_ended');
    assert.equal((await replace('x', { 'If-Match': '"2"' })).status, 200);
    assert.equal((await bytes(d)).toString(), 'x');
  });

  daemonTest('is an array of small integers to the operations', async (d) => {
    await makeBytes(d, [1, 2, 255]);
    assert.deepEqual(await done(d, 'add', { index: 0, n: 9 }), { value: 10, version: 2, length: 3 });
    await refused(d, 'add', { index: 2 }, 422, 'out_of_range');
    await refused(d, 'append', { item: 256 }, 422, 'out_of_range');
    await refused(d, 'append', { item: 'a' }, 422, 'type_mismatch');
    await done(d, 'extend', { items: [7, 8] });
    assert.equal((await done(d, 'pop')).value, 8);
    assert.equal((await get(d, '?path=/3')).value, 7);
    assert.deepEqual(await bytes(d), Buffer.from([10, 2, 255, 7]));
    assert.equal((await done(d, 'set', { value: [1, 2] })).value_base64, 'AQI=');
    assert.deepEqual((await done(d, 'clear')).length, 0);
    assert.equal((await d.get('/v1/values/v/wait?after=0')).body.value_base64, '');
  });

  daemonTest('names what is wrong with it', async (d) => {
    const wrong = (body, query = '') => d.call('PUT', `/v1/values/w${query}`, { body });
    problem(await wrong({ type: 'bytes', value_base64: '***' }), 422, 'invalid_value');
    problem(await wrong({ type: 'json', value_base64: 'AQI=' }), 422, 'invalid_value');
    problem(await wrong({ type: 'bytes', value_base64: 'AQI=', length: 3 }), 422, 'invalid_value');
    problem(await wrong({ type: 'bytes', value: 'AQI=' }), 422, 'type_mismatch');
    problem(await wrong({ type: 'bytes' }, '?durable=false'), 400, 'invalid_parameter');
    problem(await makeBytes(d, 'x', '?lifetime=never', { expect: 400 }), 400, 'invalid_parameter');
    problem(await d.call('PUT', '/v1/values/w', { raw: 'x', headers: { 'Content-Type': 'text/plain' } }), 415);
    problem(await d.call('PUT', '/v1/values/w', { raw: 'x', headers: { 'Content-Type': 'application/octet-stream-x' } }), 415);
  });

  daemonTest('holds what was answered when the server is killed', async (d) => {
    const large = Buffer.alloc(300000, 'forkful ');
    await makeBytes(d, large);
    await d.call('PUT', '/v1/values/small?lifetime=permanent', { raw: 'tiny', headers: octets, expect: 201 });
    await d.call('PUT', '/v1/values/volatile?durable=false', { raw: 'began', headers: octets, expect: 201 });
    await d.call('POST', '/v1/values/volatile/write', { raw: 'ended', expect: 200, headers: octets });
    for (let i = 0; i < 5; i += 1) {
      assert.equal((await write(d, `<${i}>`, `?offset=${i * 1000}`)).status, 200);
      large.write(`<${i}>`, i * 1000);
      await d.killServer();
      assert.deepEqual((await read(d, {}, { patient: 30, expect: 200 })).bytes, large);
    }
    assert.equal((await d.get('/v1/values/small', { headers: raw })).text, 'tiny');
    assert.equal((await d.get('/v1/values/volatile', { headers: raw })).text, 'began');
    await makeBytes(d, Buffer.alloc(300000, 'forkful '), '', { expect: 200 });
  });

  daemonTest('has room for max_payload_bytes', { args: ['--max-payload-bytes', '1024'] }, async (d) => {
    await makeBytes(d, Buffer.alloc(1024));
    problem(await d.call('PUT', '/v1/values/w', { raw: Buffer.alloc(1025), headers: octets }), 413, 'payload_too_large');
    problem(await d.call('PUT', '/v1/values/v/value', { raw: Buffer.alloc(1025), headers: octets }), 413, 'payload_too_large');
    await refused(d, 'append', { item: 0 }, 413, 'payload_too_large');
  });
});
