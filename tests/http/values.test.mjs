// Values: types, operations, places, versions, waiting, and what is left of them after a crash.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { faults, problem, range } from '../lib/check.mjs';
import { now } from '../lib/wait.mjs';
import { done, get, make, put, refused, run, value } from '../lib/values.mjs';

suite('a value', () => {
  daemonTest('is null when nothing is said, and has a version that begins with 1', async (d) => {
    const made = await make(d);
    assert.deepEqual([made.name, made.kind, made.type, made.durable, made.value, made.value_omitted, made.version, made.length, made.initial, made.waiters],
      ['v', 'value', 'json', true, null, false, 1, null, null, 0]);
    assert.deepEqual(await get(d), made);
    assert.deepEqual((await d.get('/v1/values')).body.items, [made]);
    await d.delete('/v1/values/v');
    problem(await d.call('GET', '/v1/values/v'), 404, 'not_found');
    problem(await run(d, 'add'), 404, 'not_found');
  });

  daemonTest('begins with the zero of its type, or with zeros of a length', async (d) => {
    const zeros = { json: null, string: '', 'string[]': [], int32: 0, 'int32[]': [], int64: 0, 'int64[]': [], double: 0, 'double[]': [], bool: false, 'bool[]': [] }; // of bytes: see there
    for (const [type, zero] of Object.entries(zeros)) {
      assert.deepEqual((await make(d, { type }, `v${type.replace('[]', 's')}`)).value, zero, type);
      if (type.endsWith('[]')) {
        const made = await make(d, { type, length: 3 }, `v${type.replace('[]', 's3')}`);
        assert.deepEqual([made.value, made.length], [Array(3).fill(zeros[type.slice(0, -2)]), 3], type);
      } else {
        problem(await d.call('PUT', '/v1/values/w', { body: { type, length: 3 } }), 422, 'invalid_value');
      }
    }
    problem(await d.call('PUT', '/v1/values/w', { body: { type: 'int32[]', length: 2, value: [1] } }), 422, 'invalid_value');
    problem(await d.call('PUT', '/v1/values/w', { body: { type: 'int16' } }), 422, 'invalid_value');
  });

  daemonTest('takes only what is of its type', async (d) => {
    const wrong = [['int32', 1.5], ['int32', '1'], ['int32', true], ['int32', [1]], ['double', '1'], ['bool', 1], ['string', 1], ['int32[]', 1],
      ['int32[]', [1, 2.5]], ['double[]', [1, null]], ['string[]', ['a', 1]], ['string[]', 'a'], ['bool[]', [true, 0]]];
    for (const [type, one] of wrong) {
      problem(await d.call('PUT', '/v1/values/w', { body: { type, value: one } }), 422, 'type_mismatch');
    }
    for (const [type, one] of [['int32', 2147483648], ['int32', -2147483649], ['int32[]', [0, 4294967296]]]) {
      problem(await d.call('PUT', '/v1/values/w', { body: { type, value: one } }), 422, 'out_of_range');
    }
    const body = problem(await d.call('PUT', '/v1/values/w', { body: { type: 'int32[]', value: [0, 1, 'x'] } }), 422, 'type_mismatch');
    assert.deepEqual(faults(body), ['/value/2 type_mismatch']);
    assert.equal((await make(d, { type: 'double', value: 3 })).value, 3);
    assert.match((await d.get('/v1/values/v')).text, /"value":3\.0,/);
  });

  daemonTest('is the same configuration again only with the type and value it was made with', async (d) => {
    await make(d, { type: 'int32', value: 5 });
    await done(d, 'add', { n: 2 });
    const again = await d.call('PUT', '/v1/values/v', { body: { type: 'int32', value: 5 }, expect: 200 });
    assert.deepEqual([again.body.value, again.body.version], [7, 2]);
    for (const body of [{ type: 'int32', value: 7 }, { type: 'int64', value: 5 }, { type: 'int32', value: 5, durable: false }]) {
      problem(await d.call('PUT', '/v1/values/v', { body }), 409, 'config_differs');
    }
    const long = range(1, 2000);
    const made = await make(d, { value: long }, 'w');
    assert.deepEqual([made.initial, made.value, made.value_omitted, made.length], [null, null, true, 2000]);
    await d.call('PUT', '/v1/values/w', { body: { value: long }, expect: 200 });
    problem(await d.call('PUT', '/v1/values/w', { body: { value: [...long, 1] } }), 409, 'config_differs');
    assert.deepEqual((await d.get('/v1/values/w')).body.value, long);
  });

  daemonTest('that is small is in the list, and one that is large is left out', async (d) => {
    await make(d, { type: 'int32[]', length: 5000 });
    const [listed] = (await d.get('/v1/values')).body.items;
    assert.deepEqual([listed.value, listed.value_omitted, listed.length, listed.size_bytes], [null, true, 5000, 20000]);
    const whole = await get(d);
    assert.deepEqual([whole.value.length, whole.value_omitted], [5000, false]);
  });
});

suite('numbers', () => {
  daemonTest('are added to in one step, and add answers the sum', async (d) => {
    await make(d, { type: 'int32', value: 5 });
    assert.deepEqual(await done(d, 'add'), { value: 6, version: 2, length: null });
    assert.deepEqual(await done(d, 'add', { n: -10 }), { value: -4, version: 3, length: null });
    await refused(d, 'add', { n: 1.5 }, 422, 'type_mismatch');
    await refused(d, 'add', { n: '1' }, 422, 'invalid_value');
    await refused(d, 'add', { m: 1 }, 422, 'unknown_field');
    await refused(d, 'append', { item: 1 }, 422, 'type_mismatch');
    await refused(d, 'add', { index: 0 }, 422, 'type_mismatch');
    await refused(d, 'pop', {}, 422, 'type_mismatch');
    await refused(d, 'clear', {}, 422, 'type_mismatch');
  });

  daemonTest('never wrap, and doubles stay finite', async (d) => {
    const raw = (type, text) => d.call('PUT', `/v1/values/${type}`, { raw: `{"type":"${type}","value":${text}}`, headers: { 'Content-Type': 'application/json' }, expect: 201 });
    const add = (type, text) => d.call('POST', `/v1/values/${type}/add`, { raw: `{"n":${text}}`, headers: { 'Content-Type': 'application/json' } });
    await raw('int32', '2147483647');
    problem(await add('int32', '1'), 422, 'out_of_range');
    await raw('int64', '9223372036854775806');
    assert.match((await add('int64', '1')).text, /"value":9223372036854775807,/);
    problem(await add('int64', '1'), 422, 'out_of_range');
    assert.match((await d.get('/v1/values/int64')).text, /"value":9223372036854775807,/);
    await raw('double', '1.7e308');
    problem(await add('double', '1.7e308'), 422, 'out_of_range');
    await raw('json', '9223372036854775807');
    problem(await add('json', '1'), 422, 'out_of_range');
    problem(await add('int64', '99999999999999999999'), 422, 'out_of_range');
  });

  daemonTest('of type double come back as they went in', async (d) => {
    const numbers = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.5, 123456789.125, 2 ** 53, 1e21];
    await make(d, { type: 'double[]', value: numbers });
    assert.deepEqual(await value(d), numbers);
    assert.match((await d.get('/v1/values/v')).text, /\[0\.1,0\.3333333333333333/);
    await d.killServer();
    assert.deepEqual(await value(d), numbers);
  });

  daemonTest('in arrays are added to by index, from the end too', async (d) => {
    await make(d, { type: 'int32[]', value: [0, 0, 0] });
    assert.deepEqual(await done(d, 'add', { index: 1, n: 5 }), { value: 5, version: 2, length: 3 });
    assert.deepEqual(await done(d, 'add', { index: -1 }), { value: 1, version: 3, length: 3 });
    assert.deepEqual(await done(d, 'add', { path: '/0' }), { value: 1, version: 4, length: 3 });
    assert.deepEqual(await done(d, 'add', { path: [0] }), { value: 2, version: 5, length: 3 });
    assert.deepEqual(await value(d), [2, 5, 1]);
    await refused(d, 'add', { index: 3 }, 422, 'out_of_range');
    await refused(d, 'add', { index: -4 }, 422, 'out_of_range');
    await refused(d, 'add', { n: 1 }, 422, 'type_mismatch');
    await refused(d, 'add', { path: '/x' }, 422, 'type_mismatch');
    await refused(d, 'add', { path: '/0/0' }, 422, 'type_mismatch');
  });

  daemonTest('in an array of a million are added to as quickly as in one of ten', async (d) => {
    await make(d, { type: 'int32[]', length: 1000000, durable: false });
    const begun = now();
    for (let i = 0; i < 300; i += 1) await done(d, 'add', { index: 999999 - i * 3000, n: 2147483647 });
    assert.ok(now() - begun < 5, `300 adds took ${now() - begun} s`);
    assert.equal((await get(d, '?path=/999999')).value, 2147483647);
    assert.equal((await get(d)).value.reduce((sum, one) => sum + one, 0), 300 * 2147483647);
  });
});

suite('an array', () => {
  for (const [kind, type] of [['of cells', 'int32[]'], ['in JSON', 'json']]) {
    daemonTest(`${kind} does what a list does`, async (d) => {
      await make(d, { type, value: [] });
      assert.deepEqual(await done(d, 'append', { item: 3 }), { value: 3, version: 2, length: 1 });
      assert.deepEqual(await done(d, 'extend', { items: [4, 5, 3] }), { value: [4, 5, 3], version: 3, length: 4 });
      assert.deepEqual(await done(d, 'insert', { index: 0, item: 1 }), { value: 1, version: 4, length: 5 });
      assert.deepEqual(await done(d, 'insert', { index: 5, item: 9 }), { value: 9, version: 5, length: 6 });
      assert.deepEqual(await done(d, 'insert', { index: -1, item: 8 }), { value: 8, version: 6, length: 7 });
      assert.deepEqual(await value(d), [1, 3, 4, 5, 3, 8, 9]);
      assert.deepEqual(await done(d, 'pop'), { value: 9, version: 7, length: 6 });
      assert.deepEqual(await done(d, 'pop', { index: 0 }), { value: 1, version: 8, length: 5 });
      assert.deepEqual(await done(d, 'remove', { item: 3 }), { value: 3, version: 9, length: 4 });
      assert.deepEqual(await done(d, 'del', { index: -1 }), { value: 8, version: 10, length: 3 });
      assert.deepEqual(await done(d, 'set', { index: 1, value: 7 }), { value: 7, version: 11, length: 3 });
      assert.deepEqual(await value(d), [4, 7, 3]);
      await refused(d, 'remove', { item: 99 }, 404, 'no_such_key');
      await refused(d, 'insert', { index: 5, item: 1 }, 422, 'out_of_range');
      await refused(d, 'pop', { index: 3 }, 422, 'out_of_range');
      await refused(d, 'append', {}, 422, 'missing_field');
      await refused(d, 'del', {}, 422, 'type_mismatch');
      assert.deepEqual(await done(d, 'clear'), { value: [], version: 12, length: 0 });
      await refused(d, 'pop', {}, 422, 'out_of_range');
      assert.deepEqual(await value(d), []);
    });
  }

  daemonTest('of cells takes all of several items or none', async (d) => {
    await make(d, { type: 'int32[]', value: [1] });
    const body = await refused(d, 'extend', { items: [2, 3, 'x'] }, 422, 'type_mismatch');
    assert.deepEqual(faults(body), ['/items/2 type_mismatch']);
    await refused(d, 'append', { item: 2 ** 31 }, 422, 'out_of_range');
    await refused(d, 'set', { index: 0, value: 0.5 }, 422, 'type_mismatch');
    assert.equal((await put(d, { value: [7, 8] }, { expect: 200 })).body.version, 2);
    assert.deepEqual(await value(d), [7, 8]);
  });

  daemonTest('of strings takes strings', async (d) => {
    await make(d, { type: 'string[]', length: 1 });
    await done(d, 'append', { item: 'é"\\\u0001' });
    await refused(d, 'append', { item: 1 }, 422, 'type_mismatch');
    await refused(d, 'set', { index: 0, value: null }, 422, 'type_mismatch');
    await refused(d, 'extend', { items: ['a', []] }, 422, 'type_mismatch');
    assert.deepEqual(await value(d), ['', 'é"\\\u0001']);
  });

  daemonTest('removes by value as Python compares', async (d) => {
    await make(d, { value: [true, 1.0, { a: 1, b: 2 }, [1]] });
    await done(d, 'remove', { item: { b: 2.0, a: 1 } });
    await done(d, 'remove', { item: 1 });
    await done(d, 'remove', { item: [1.0] });
    assert.deepEqual(await value(d), [true]);
  });
});

suite('an object', () => {
  daemonTest('does what a dict does, however deep', async (d) => {
    await make(d, { value: {} });
    assert.deepEqual(await done(d, 'set', { path: '/jobs', value: [{ id: 1 }] }), { value: [{ id: 1 }], version: 2, length: 1 });
    assert.deepEqual(await done(d, 'set', { path: ['jobs', 0, 'name'], value: 'x' }), { value: 'x', version: 3, length: 2 });
    assert.deepEqual(await done(d, 'append', { path: '/jobs', item: { id: 2 } }), { value: { id: 2 }, version: 4, length: 2 });
    assert.deepEqual(await done(d, 'add', { path: '/jobs/1/id', n: 40 }), { value: 42, version: 5, length: 1 });
    assert.deepEqual(await done(d, 'update', { members: { a: 1, b: { c: 2 } } }), { value: { a: 1, b: { c: 2 } }, version: 6, length: 3 });
    assert.deepEqual(await done(d, 'pop', { key: 'a' }), { value: 1, version: 7, length: 2 });
    assert.deepEqual(await done(d, 'pop', { path: '/b/c' }), { value: 2, version: 8, length: 0 });
    assert.deepEqual(await done(d, 'pop', { path: '/jobs' }), { value: { id: 42 }, version: 9, length: 1 });
    assert.deepEqual(await done(d, 'pop', { key: 'jobs' }), { value: [{ id: 1, name: 'x' }], version: 10, length: 1 });
    assert.deepEqual(await done(d, 'del', { path: '/b' }), { value: {}, version: 11, length: 0 });
    assert.deepEqual(await value(d), {});
  });

  daemonTest('tells what is not there, and what has no parts', async (d) => {
    await make(d, { value: { a: { b: [1, 'text'] } } });
    for (const body of [{ path: '/x' }, { path: '/x/y' }, { path: ['a', 'x'] }, { key: '' }]) {
      await refused(d, 'add', body, 404, 'no_such_key');
      await refused(d, 'del', body, 404, 'no_such_key');
    }
    await refused(d, 'append', { path: '/x', item: 1 }, 404, 'no_such_key');
    await refused(d, 'clear', { path: '/x' }, 404, 'no_such_key');
    await refused(d, 'set', { path: '/x/y', value: 1 }, 404, 'no_such_key');
    await refused(d, 'add', { path: '/a/b/2' }, 422, 'out_of_range');
    await refused(d, 'set', { path: '/a/b/2', value: 1 }, 422, 'out_of_range');
    for (const path of ['/a/b/x', '/a/b/-', '/a/b/01', '/a/b/0/c', ['a', 0]]) {
      await refused(d, 'set', { path, value: 1 }, 422, 'type_mismatch');
    }
    await refused(d, 'add', { path: '/a/b/1' }, 422, 'type_mismatch');
    await refused(d, 'append', { path: '/a', item: 1 }, 422, 'type_mismatch');
    await refused(d, 'update', { path: '/a/b', members: {} }, 422, 'type_mismatch');
    await refused(d, 'pop', {}, 422, 'type_mismatch');
    for (const body of [{ path: 'a' }, { path: '/a~2' }, { path: [1.5] }, { path: [null] }, { path: '/a', key: 'b', index: 0 }, { path: Array(64).fill('a') }]) {
      await refused(d, 'del', body, 422, 'invalid_value');
    }
  });

  daemonTest('has keys with any characters', async (d) => {
    await make(d, { value: { 'a/b': { 'c~d': 1 }, '': 2, 0: 3 } });
    assert.equal((await done(d, 'add', { path: '/a~1b/c~0d' })).value, 2);
    assert.equal((await done(d, 'add', { path: ['a/b'], key: 'c~d' })).value, 3);
    assert.equal((await done(d, 'add', { path: '/' })).value, 3);
    assert.equal((await done(d, 'add', { path: '/0' })).value, 4);
    assert.equal((await get(d, '?path=/a~1b/c~0d')).value, 3);
  });

  daemonTest('is emptied in parts or wholly', async (d) => {
    await make(d, { value: { a: { b: 1 }, c: [1] } });
    assert.deepEqual(await done(d, 'clear', { path: '/a' }), { value: {}, version: 2, length: 0 });
    assert.deepEqual(await done(d, 'clear', { key: 'c' }), { value: [], version: 3, length: 0 });
    assert.deepEqual(await value(d), { a: {}, c: [] });
    await done(d, 'clear');
    assert.deepEqual(await value(d), {});
  });

  daemonTest('shows a part by its path', async (d) => {
    await make(d, { value: { a: [1, { b: 2 }] } });
    assert.deepEqual(await get(d, '?path=/a/1'), { value: { b: 2 }, version: 1, length: 1 });
    assert.deepEqual(await get(d, '?path=/a/0'), { value: 1, version: 1, length: null });
    assert.equal((await get(d, '?path=')).kind, 'value');
    problem(await d.call('GET', '/v1/values/v?path=/x'), 404, 'no_such_key');
    problem(await d.call('GET', '/v1/values/v?path=/a/2'), 422, 'out_of_range');
    problem(await d.call('GET', '/v1/values/v?path=a'), 400, 'invalid_parameter');
  });
});

suite('versions', () => {
  daemonTest('are the ETag, and GET with it is 304', async (d) => {
    await make(d, { value: 1 });
    const first = await d.get('/v1/values/v');
    assert.equal(first.headers.etag, '"1"');
    for (const tag of ['"1"', 'W/"1"', '"7", "1"', '*']) {
      const same = await d.call('GET', '/v1/values/v', { headers: { 'If-None-Match': tag } });
      assert.deepEqual([same.status, same.text, same.headers.etag], [304, '', '"1"'], tag);
    }
    assert.equal((await d.get('/v1/values/v', { headers: { 'If-None-Match': '"11", 1' } })).status, 200);
    const head = await d.call('HEAD', '/v1/values/v', { expect: 200 });
    assert.deepEqual([head.headers.etag, head.text], ['"1"', '']);
    assert.equal((await put(d, { value: 2 }, { expect: 200 })).headers.etag, '"2"');
    assert.equal((await d.get('/v1/values/v', { headers: { 'If-None-Match': '"1"' } })).headers.etag, '"2"');
  });

  daemonTest('of If-Match must be the present one', async (d) => {
    await make(d, { value: 1 });
    const stale = { headers: { 'If-Match': '"1"' } };
    assert.equal((await put(d, { value: 2 }, { ...stale, expect: 200 })).body.version, 2);
    assert.equal(problem(await put(d, { value: 3 }, stale), 412, 'version_differs').version, 2);
    problem(await run(d, 'add', {}, stale), 412, 'version_differs');
    problem(await run(d, 'add', {}, { headers: { 'If-Match': 'W/"2"' } }), 412, 'version_differs');
    await done(d, 'add', {}, { headers: { 'If-Match': '"9", "2"' } });
    await done(d, 'add', {}, { headers: { 'If-Match': '*' } });
    assert.equal(await value(d), 4);
  });

  daemonTest('of two that change the same version let one through', async (d) => {
    await make(d, { value: 0 });
    const headers = { 'If-Match': '"1"' };
    const answers = await Promise.all(range(1, 8).map((n) => put(d, { value: n }, { headers })));
    assert.deepEqual(answers.map((one) => one.status).sort(), [200, ...Array(7).fill(412)]);
  });

  daemonTest('are not needed with compare_and_set, which tells what is there when it differs', async (d) => {
    await make(d, { value: { a: 1 } });
    const differs = await refused(d, 'compare_and_set', { path: '/a', expected: 2, value: 3 }, 409, 'differs');
    assert.deepEqual([differs.value, differs.version], [1, 1]);
    assert.deepEqual(await done(d, 'compare_and_set', { path: '/a', expected: 1.0, value: 3 }), { value: 3, version: 2, length: 1 });
    assert.deepEqual(await done(d, 'compare_and_set', { expected: { a: 3 }, value: [1] }), { value: [1], version: 3, length: 1 });
    await refused(d, 'compare_and_set', { key: 'a', expected: 1, value: 2 }, 422, 'type_mismatch');
    await refused(d, 'compare_and_set', { value: 2 }, 422, 'missing_field');
    await make(d, { type: 'int32[]', value: [1, 2] }, 'cells');
    const answer = problem(await d.post('/v1/values/cells/compare_and_set', { expected: [1], value: [] }), 409, 'differs');
    assert.deepEqual(answer.value, [1, 2]);
    await d.post('/v1/values/cells/compare_and_set', { index: 1, expected: 2, value: 3 }, { expect: 200 });
    assert.deepEqual((await d.get('/v1/values/cells')).body.value, [1, 3]);
  });

  daemonTest('grow by one with each operation of many at once, and none is lost', async (d) => {
    await make(d, { type: 'int64' });
    const answers = await Promise.all(range(1, 200).map(() => done(d, 'add')));
    assert.deepEqual(answers.map((one) => one.value).sort((a, b) => a - b), range(1, 200));
    assert.deepEqual(answers.map((one) => one.version).sort((a, b) => a - b), range(2, 201));
  });

  daemonTest('are waited for, and many waiters are told of one change', async (d) => {
    await make(d, { value: 1 });
    const waiting = (count) => until(`${count} wait`, async () => (await get(d)).waiters === count);
    const all = Array.from({ length: 20 }, (_, i) => d.get(`/v1/values/v/wait${i % 2 ? '?after=1' : ''}`));
    await waiting(20);
    await done(d, 'add');
    for (const { body, headers } of await Promise.all(all)) {
      assert.deepEqual([body, headers.etag], [{ value: 2, version: 2, length: null }, '"2"']);
    }
    assert.equal((await get(d, '/wait?after=1')).version, 2);
    const begun = now();
    assert.equal((await get(d, '/wait?after=2&wait=0.2')).version, 2);
    assert.ok(now() - begun >= 0.19);
    const call = d.call('GET', '/v1/values/v/wait');
    await waiting(1);
    await d.delete('/v1/values/v');
    problem(await call, 410, 'deleted');
  });
});

suite('what is kept of a value', () => {
  daemonTest('that is durable is all that was answered, after a kill and after a restart', async (d) => {
    const made = { num: { type: 'double', value: 0.5 }, cells: { type: 'int64[]', value: [1, 2] }, flags: { type: 'bool[]', length: 2 }, doc: { value: { a: [] } }, text: { type: 'string', value: 'x' }, none: {}, list: { type: 'int32[]' } };
    for (const [name, body] of Object.entries(made)) await make(d, body, name);
    await d.post('/v1/values/num/add', { n: 0.25 }, { expect: 200 });
    await d.post('/v1/values/cells/append', { item: 3 }, { expect: 200 });
    await d.post('/v1/values/flags/set', { index: 1, value: true }, { expect: 200 });
    await d.post('/v1/values/doc/append', { path: '/a', item: { b: 1.0 } }, { expect: 200 });
    await d.post('/v1/values/text/set', { value: 'y' }, { expect: 200 });
    const all = async () => (await d.get('/v1/values')).body.items;
    const before = await all();
    assert.deepEqual(before.map((one) => one.value), [0.75, [1, 2, 3], [false, true], { a: [{ b: 1 }] }, 'y', null, []]);
    await d.killServer();
    assert.deepEqual(await all(), before);
    await d.restart();
    assert.deepEqual(await all(), before);
    for (const item of range(1, 5)) await d.post('/v1/values/list/append', { item }, { expect: 200 });
    assert.equal((await d.post('/v1/values/cells/append', { item: 4 }, { expect: 200 })).body.version, 3);
    await d.call('PUT', '/v1/values/num', { body: made.num, expect: 200 });
  });

  daemonTest('is every add that was answered, also when the server is killed among them', async (d) => {
    await make(d, { type: 'int64' });
    let [sent, answered, over] = [0, 0, false];
    const clients = range(1, 6).map(async () => {
      while (!over) {
        sent += 1;
        const answer = await run(d, 'add').catch((error) => error);
        if (answer.status === 200) answered += 1;
        else assert.ok(answer.code !== 'ERR_ASSERTION' && !answer.final, `${answer}`);
      }
    });
    for (const more of [200, 400, 600]) {
      await until('there was some work', () => answered > more);
      await d.killServer();
      const seen = answered;
      assert.ok(await value(d) >= seen, 'what was answered before is there');
    }
    over = true;
    await Promise.all(clients);
    const sum = await value(d);
    assert.ok(sum >= answered && sum <= sent, `${answered} answered of ${sent} sent, and the sum is ${sum}`);
  });

  daemonTest('that is not durable is what it was made with', async (d) => {
    await make(d, { type: 'int32[]', value: [1, 2, 3], durable: false });
    await done(d, 'append', { item: 4 });
    await make(d, { value: range(1, 1000), durable: false }, 'long');
    await d.killServer();
    assert.deepEqual(await get(d).then((one) => [one.value, one.version]), [[1, 2, 3], 1]);
    assert.deepEqual((await d.get('/v1/values/long')).body.value, range(1, 1000));
  });

  daemonTest('is nothing of an operation that was refused', async (d) => {
    await make(d, { value: [] });
    await d.call('PUT', '/v1/locks/l', { expect: 201 });
    const hold = (await d.post('/v1/locks/l/acquire', {}, { expect: 200 })).body;
    const headers = { 'If-Hold': hold.id };
    await done(d, 'append', { item: 1 }, { headers });
    await d.post(`/v1/holds/${hold.id}/release`, undefined, { expect: 200 });
    for (const [verb, body] of [['append', { item: 2 }], ['clear', {}], ['set', { value: 0 }]]) {
      problem(await run(d, verb, body, { headers }), 412, 'hold_ended');
    }
    problem(await put(d, { value: 0 }, { headers }), 412, 'hold_ended');
    assert.deepEqual(await value(d), [1]);
  });

  daemonTest('is added once by a request that is repeated', async (d) => {
    await make(d, { type: 'int32' });
    const headers = { 'Idempotency-Key': 'k' };
    await done(d, 'add', {}, { headers });
    const again = await run(d, 'add', {}, { headers, expect: 200 });
    assert.deepEqual([again.headers['idempotency-replayed'], again.body.value, await value(d)], ['true', 1, 1]);
    problem(await run(d, 'add', { n: 2 }, { headers }), 422, 'idempotency_key_reused');
  });
});

suite('limits of a value', () => {
  daemonTest('are max_payload_bytes, for what is made and for what grows', { args: ['--max-payload-bytes', '4096'] }, async (d) => {
    problem(await d.call('PUT', '/v1/values/w', { body: { value: 'x'.repeat(5000) } }), 413, 'payload_too_large');
    problem(await d.call('PUT', '/v1/values/w', { body: { type: 'int32[]', length: 1025 } }), 413, 'payload_too_large');
    problem(await d.call('PUT', '/v1/values/w', { body: { type: 'double[]', length: 1e9 } }), 413, 'payload_too_large');
    problem(await d.call('GET', '/v1/values/w'), 404, 'not_found');
    await make(d, { value: [] });
    await done(d, 'append', { item: 'x'.repeat(4000) });
    await refused(d, 'append', { item: 'y'.repeat(200) }, 413, 'payload_too_large');
    await refused(d, 'set', { index: 0, value: 'x'.repeat(5000) }, 413, 'payload_too_large');
    await done(d, 'set', { index: 0, value: 'x' });
    assert.equal((await get(d)).size_bytes, 2 + 4);
    await make(d, { type: 'int32[]', length: 1024 }, 'cells');
    problem(await d.post('/v1/values/cells/append', { item: 1 }), 413, 'payload_too_large');
    await d.post('/v1/values/cells/pop', {}, { expect: 200 });
    await d.post('/v1/values/cells/append', { item: 1 }, { expect: 200 });
  });

  daemonTest('are 63 levels', async (d) => {
    const nested = (levels) => (levels === 0 ? 0 : [nested(levels - 1)]);
    await make(d, { value: nested(62) });
    assert.equal((await done(d, 'set', { path: `${'/0'.repeat(62)}`, value: nested(1) })).version, 2);
    await refused(d, 'set', { path: `${'/0'.repeat(62)}`, value: nested(2) }, 422, 'invalid_value');
    await refused(d, 'append', { path: `${'/0'.repeat(62)}`, item: [] }, 422, 'invalid_value');
    assert.deepEqual((await put(d, { value: await value(d) }, { expect: 200 })).body.value, nested(63));
  });

  daemonTest('count what is there after many operations', async (d) => {
    await make(d, { value: {} });
    for (let i = 0; i < 30; i += 1) await done(d, 'set', { key: `k${i % 7}"`, value: { n: [i, 'a\nb', 1.5, null, true] } });
    await done(d, 'del', { key: 'k3"' });
    await done(d, 'pop', { path: '/k1"/n' });
    await done(d, 'update', { members: { 'k2"': 1, x: [] } });
    const { value: there, size_bytes: size } = await get(d);
    await d.killServer();
    const again = await get(d);
    assert.deepEqual([again.value, again.size_bytes], [there, size], 'as when it is weighed anew');
    for (const key of Object.keys(there)) await done(d, 'del', { key });
    assert.equal((await get(d)).size_bytes, 2);
  });
});

suite('every call that changes a value', () => {
  daemonTest('asks for the hold of If-Hold, and so does the making of any object', async (d) => {
    const dead = { headers: { 'If-Hold': 'h_none' } };
    problem(await d.call('PUT', '/v1/values/v', { body: {}, ...dead }), 412, 'hold_ended');
    problem(await d.call('PUT', '/v1/locks/l', dead), 412, 'hold_ended');
    await make(d);
    problem(await put(d, { value: 1 }, dead), 412, 'hold_ended');
    problem(await d.call('DELETE', '/v1/values/v', dead), 412, 'hold_ended');
    assert.deepEqual([(await get(d)).version, (await d.get('/v1/locks')).body.items], [1, []]);
  });

  daemonTest('asks for the version of If-Match', async (d) => {
    await make(d, { value: [{ a: 1 }] });
    const old = { headers: { 'If-Match': '"9"' } };
    const bodies = { add: { path: '/0/a' }, append: { item: 1 }, extend: { items: [] }, insert: { index: 0, item: 1 }, pop: {}, remove: { item: 1 }, set: { value: 1 },
      update: { path: '/0', members: {} }, del: { index: 0 }, clear: {}, compare_and_set: { expected: 1, value: 2 } };
    for (const [verb, body] of Object.entries(bodies)) problem(await run(d, verb, body, old), 412, 'version_differs');
    problem(await put(d, { value: 1 }, old), 412, 'version_differs');
    problem(await d.call('DELETE', '/v1/values/v', old), 412, 'version_differs');
    assert.equal((await get(d)).version, 1);
    await d.call('DELETE', '/v1/values/v', { headers: { 'If-Match': '"1"' }, expect: 204 });
    problem(await d.call('DELETE', '/v1/values/v', { headers: { 'If-Match': '*' } }), 404, 'not_found');
  });
});
