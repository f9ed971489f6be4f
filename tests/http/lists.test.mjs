// The list of processes: filters, order, pages.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { faults, problem } from '../lib/check.mjs';

const ids = (items) => items.map((one) => one.id);
const items = async (d, query) => (await d.get(`/v1/processes${query}`)).body.items;

suite('parent=me', () => {
  daemonTest('asked by the admin, who is neither process nor session, is refused', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    assert.deepEqual(faults(problem(await d.call('GET', '/v1/processes?parent=me'), 400, 'invalid_parameter')), ['parent invalid_parameter']);
    assert.deepEqual(faults(problem(await d.post('/v1/processes/actions', { action: 'kill', filter: { parent: 'me' } }), 422, 'invalid_value')), ['/filter/parent invalid_value']);
    assert.equal((await d.process(id)).alive, true);
  });
});

suite('the list of processes', () => {
  daemonTest('is empty at first and then oldest first, or newest first when asked', async (d) => {
    assert.deepEqual((await d.get('/v1/processes')).body, { items: [], next_page_token: null });
    const made = [];
    for (let i = 0; i < 4; i += 1) made.push((await d.run({ argv: ['true'] })).id);
    assert.deepEqual(ids(await items(d, '')), made);
    assert.deepEqual(ids(await items(d, '?order=created_at')), made);
    assert.deepEqual(ids(await items(d, '?order=-created_at')), [...made].reverse());
  });

  daemonTest('is filtered by state, one or several', async (d) => {
    const done = await d.run({ argv: ['true'] });
    const alive = await d.spawn({ argv: ['sleep', '1000'] });
    const created = await d.spawn({ argv: ['true'], start: false });
    assert.deepEqual(ids(await items(d, '?state=running')), [alive.id]);
    assert.deepEqual(ids(await items(d, '?state=exited,created')), [done.id, created.id]);
    assert.deepEqual(ids(await items(d, '?state=lost')), []);
  });

  daemonTest('is filtered by name, exactly', async (d) => {
    const one = await d.run({ argv: ['true'], name: 'worker 1' });
    const two = await d.run({ argv: ['true'], name: 'worker 1' });
    await d.run({ argv: ['true'], name: 'worker 10' });
    await d.run({ argv: ['true'], name: "'; DROP TABLE processes; --" });
    assert.deepEqual(ids(await items(d, '?name=worker%201')), [one.id, two.id]);
    assert.equal((await items(d, `?name=${encodeURIComponent("'; DROP TABLE processes; --")}`)).length, 1);
    assert.deepEqual(await items(d, '?name=%25'), []);
  });

  daemonTest('is filtered by labels, all of which must hold', async (d) => {
    const ab = await d.run({ argv: ['true'], labels: { team: 'a', role: 'b' } });
    const a = await d.run({ argv: ['true'], labels: { team: 'a', odd: 'x=y' } });
    await d.run({ argv: ['true'], labels: { team: 'b' } });
    assert.deepEqual(ids(await items(d, '?label=team%3Da')), [ab.id, a.id]);
    assert.deepEqual(ids(await items(d, '?label=team=a&label=role=b')), [ab.id]);
    assert.deepEqual(ids(await items(d, `?label=${encodeURIComponent('odd=x=y')}`)), [a.id]);
    assert.deepEqual(await items(d, '?label=team=a&label=team=b'), []);
    assert.deepEqual(await items(d, '?label=team='), []);
  });

  daemonTest('is filtered by parent, and me is the caller', async (d) => {
    const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
    const mine = await d.spawn({ argv: ['sleep', '1000'] }, { token: session.token });
    await d.run({ argv: ['true'] });
    assert.deepEqual(ids(await items(d, `?parent=${session.id}`)), [mine.id]);
    assert.deepEqual(ids(await items(d, `?owner=${session.id}`)), [mine.id]);
    const own = await d.as(session.token).call('GET', '/v1/processes?parent=me&state=running,stopping', { expect: 200 });
    assert.deepEqual(ids(own.body.items), [mine.id]);
    assert.equal((await d.call('GET', `/v1/processes?parent=${session.id}&owner=${session.id}`)).status, 400);
  });

  daemonTest('comes in pages that hold each process once', async (d) => {
    const made = [];
    for (let i = 0; i < 25; i += 1) made.push((await d.spawn({ argv: ['true'], start: false })).id);
    for (const [query, wanted] of [['?limit=7', made], ['?limit=7&order=-created_at', [...made].reverse()], ['?limit=1&state=created', made]]) {
      const seen = [];
      let token = null;
      do {
        const { body } = await d.get(`/v1/processes${query}${token ? `&page_token=${encodeURIComponent(token)}` : ''}`);
        assert.ok(body.items.length <= Number(/limit=(\d+)/.exec(query)[1]));
        seen.push(...ids(body.items));
        token = body.next_page_token;
      } while (token !== null);
      assert.deepEqual(seen, wanted);
    }
  });

  daemonTest('has 100 in a page when nothing is said', async (d) => {
    for (let i = 0; i < 101; i += 1) await d.spawn({ argv: ['true'], start: false });
    const { body } = await d.get('/v1/processes');
    assert.equal(body.items.length, 100);
    assert.equal((await d.get(`/v1/processes?page_token=${encodeURIComponent(body.next_page_token)}`)).body.items.length, 1);
  });

  daemonTest('goes on rightly when processes are made and deleted between pages', async (d) => {
    const made = [];
    for (let i = 0; i < 10; i += 1) made.push((await d.spawn({ argv: ['true'], start: false })).id);
    const first = (await d.get('/v1/processes?limit=4')).body;
    await d.delete(`/v1/processes/${made[3]}`);
    await d.delete(`/v1/processes/${made[4]}`);
    made.push((await d.spawn({ argv: ['true'], start: false })).id);
    const rest = (await d.get(`/v1/processes?limit=100&page_token=${encodeURIComponent(first.next_page_token)}`)).body;
    assert.deepEqual(ids(rest.items), made.slice(5));
  });

  daemonTest('takes a page token only with the filters it came from', async (d) => {
    for (let i = 0; i < 3; i += 1) await d.spawn({ argv: ['true'], start: false });
    const token = encodeURIComponent((await d.get('/v1/processes?limit=1')).body.next_page_token);
    for (const query of [`?limit=1&state=created&page_token=${token}`, `?limit=1&order=-created_at&page_token=${token}`,
      `?limit=1&name=x&page_token=${token}`, '?page_token=nonsense', `?page_token=${token}x`, `?page_token=x${token}`]) {
      problem(await d.call('GET', `/v1/processes${query}`), 400, 'invalid_page_token');
    }
    await d.get(`/v1/processes?limit=2&page_token=${token}`);
  });

  daemonTest('outlives a restart, and a page token too', async (d) => {
    const made = [];
    for (let i = 0; i < 5; i += 1) made.push((await d.run({ argv: ['true'] })).id);
    const token = encodeURIComponent((await d.get('/v1/processes?limit=2')).body.next_page_token);
    await d.killServer();
    assert.deepEqual(ids((await d.get(`/v1/processes?limit=9&page_token=${token}`)).body.items), made.slice(2));
    await d.restart();
    assert.deepEqual(ids(await d.list()), made);
  });
});
