// Attacks on what an address means: escapes, dots and doubled keys that one reader decodes and another does not; words
// that mean something to a database, a pattern or a proxy.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { answersSoon, attack, repelled, request, victim } from './wire.mjs';

const ask = (d, first, lines = '') => attack(d, request(d, first, `Connection: close\r\nContent-Length: 0\r\n${lines}`));
const enc = encodeURIComponent;

suite('a path', () => {
  daemonTest('climbs out, hides a separator, or ends early', async (d) => {
    const target = await victim(d);
    for (const where of ['/../../etc/passwd', '/../state/token', '/v1/../token', '/./healthz', '/v1/%2e%2e/token', '/v1/.%2e/token', '/%2e%2e%2fetc%2fpasswd', '/v1/processes/..%2f..%2ftoken',
      '/v1/processes/..%5ctoken', '/v1/processes/%5c', '/v1/%2fprocesses', '/%2fhealthz', '//healthz', '//evil.test/healthz', '/v1//system', '/v1\\system', '/style.css%00.html', '/v1/processes/%00',
      `/v1/processes/${target.id}%00/kill`, `/v1/processes/${target.id}%2fkill`, '/v1/system%0d%0aX-Injected:%201', '/v1/system%0a', '/v1/system%7f', '/v1/system%1b[2J', '/v1/system#/kill',
      '/v1/%zz', '/v1/%', '/v1/%4', '/v1/%u0041', '/v1/%c0%ae%c0%ae/token', '/v1/processes/%ff', '/v1/processes/%ed%a0%80', '/v1/sys\x01tem', '/v1/sys\x7ftem', '/v1/sys\xe9tem', '/v1/a b',
      'healthz', '', '\\healthz', `/v1/${'a/'.repeat(30)}`]) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        const first = Buffer.from(`${method} ${where}`, 'latin1').toString('latin1');
        const bytes = Buffer.from(request(d, 'GET /', 'Content-Length: 0\r\n').toString('latin1').replace('GET /', () => first), 'latin1');
        const seen = await repelled(d, bytes, 400, JSON.stringify(first));
        assert.doesNotMatch(seen.got, /^X-Injected/im);
      }
    }
    await target.intact();
  });

  daemonTest('is nearly one of ours', async (d) => {
    const target = await victim(d);
    for (const where of [`/v1/processes/${target.id}/kill/`, `/v1/processes/${target.id}/kill;x`, `/v1/processes/${target.id}/KILL`, `/V1/processes/${target.id}/kill`, `/v1/processes/${target.id}/kill%20`,
      `/v1/processes/${target.id}/kill.json`, `/v1/processes/${target.id.slice(0, -1)}/kill`, `/v1/processes/${target.id.toUpperCase()}/kill`, '/v1/processes/victim/kill', '/v1/processes/*/kill',
      '/v1/processes/1/kill', '/v1/processes/-1/kill', '/v1/processes/0/kill', `/v1/processes/${process.pid}/kill`, '/v1/processes/__proto__/kill', '/.git/config', '/.env', '/token', '/state.db', '/metrics/../v1/log']) {
      const { statuses } = await ask(d, `POST ${where}`);
      assert.ok(statuses.length === 1 && [400, 404].includes(statuses[0]), `${where}: ${statuses}`);
    }
    await target.intact();
  });

  daemonTest('or method is overridden by a header or a key', async (d) => {
    const target = await victim(d);
    for (const lines of ['X-HTTP-Method-Override: DELETE\r\n', 'X-HTTP-Method: DELETE\r\n', 'X-Method-Override: DELETE\r\n', `X-Original-URL: /v1/processes/${target.id}?kill=true\r\n`, `X-Rewrite-URL: /v1/processes/${target.id}/kill\r\n`]) {
      assert.deepEqual((await ask(d, `GET /v1/processes/${target.id}`, lines)).statuses, [200], lines);
    }
    for (const key of ['_method=DELETE', 'method=DELETE', 'kill=true']) assert.deepEqual((await ask(d, `GET /v1/processes/${target.id}?${key}`)).statuses, [400], key);
    await target.intact();
  });
});

suite('a query', () => {
  daemonTest('holds a key twice, a strange separator or a bad escape', async (d) => {
    const target = await victim(d);
    for (const query of ['kill=false&kill=true', 'kill=true&kill=true', 'kill=true;x', 'kill=true%00', 'kill=%zz', 'kill=%', 'k%69ll=true&kill=true', 'kill[]=true', 'KILL=true', 'kill=TRUE', 'kill=true%20',
      'kill=tru%65%0d%0a', 'kill=%ff', 'x=1', 'kill', 'kill=']) {
      assert.deepEqual((await ask(d, `DELETE /v1/processes/${target.id}?${query}`)).statuses, [400], query);
    }
    await target.intact();
  });

  daemonTest('speaks SQL, globs or a search language to every filter', async (d) => {
    const target = await victim(d);
    const words = ["' OR '1'='1", "'; DROP TABLE processes; --", '" OR ""="', '%', '_ictim', '*', 'vict*', 'victim OR 1', 'NEAR(victim, 1)', 'name:victim', '"', "'", '`', '\\', '${7*7}', '{{7*7}}', '$(id)', '../victim', 'ｖictim', 'vic\u200btim'];
    for (const word of words) {
      for (const query of [`name=${enc(word)}`, `label=${enc(`team=${word}`)}`, `label=${enc(`${word}=a`)}`]) {
        const answer = await d.call('GET', `/v1/processes?${query}`);
        assert.ok(answer.status === 400 || (answer.status === 200 && answer.body.items.length === 0), `${query}: ${answer}`);
      }
      for (const query of [`state=${enc(word)}`, `parent=${enc(word)}`, `order=${enc(word)}`, `limit=${enc(word)}`, `page_token=${enc(word)}`]) {
        assert.equal((await d.call('GET', `/v1/processes?${query}`)).status, 400, query);
      }
      for (const where of [`/v1/processes/${target.id}/logs?after=${enc(word)}`, `/v1/processes/${target.id}/logs?since=${enc(word)}`, `/v1/changes?after=${enc(word)}`, `/v1/log?level=${enc(word)}`]) {
        const answer = await d.call('GET', where, { headers: { Accept: 'application/json' } });
        assert.equal(answer.status, 400, `${where}: ${answer}`);
      }
      const feed = await d.call('GET', `/v1/changes?type=${enc(word)}`);
      assert.ok(feed.status === 400 || feed.body.items.length === 0, `${word}: ${feed}`);
      for (const kind of ['locks', 'queues', 'values', 'pools']) {
        const answer = await d.call('PUT', `/v1/${kind}/${enc(word)}`, { body: {} });
        assert.ok([400, 404, 422].includes(answer.status), `${kind} ${word}: ${answer}`);
      }
    }
    await target.intact();
  });

  daemonTest('is a pattern that is dear to try', async (d) => {
    const { id } = await d.run({ shell: `head -c 60000 /dev/zero | tr '\\0' a; echo b` });
    for (const pattern of ['(a+)+$', '(a|a)*c', '(a*)*c', '^(a?){50}a{50}c', '(.*a){25}', '((a{0,99}){0,99}){0,99}', `${'('.repeat(2000)}a${')'.repeat(2000)}`, 'a{1,65535}', `${'a?'.repeat(2000)}${'a'.repeat(2000)}`, '[[:alpha:]]*[[:alpha:]]*[[:alpha:]]*c', '(\\1)', 'x'.repeat(20000)]) {
      const searching = d.call('GET', `/v1/processes/${id}/logs?grep=${enc(pattern)}`, { headers: { Accept: 'application/json' } });
      await answersSoon(d);
      const answer = await searching;
      assert.ok([200, 400].includes(answer.status), `${pattern.slice(0, 40)}: ${answer}`);
    }
  });
});

suite('a page token', () => {
  daemonTest('is forged, cut, grown, or taken from another list', async (d) => {
    for (let i = 0; i < 3; i += 1) await d.spawn({ argv: ['sleep', '1000'], labels: { n: String(i) } });
    for (let i = 0; i < 3; i += 1) await d.post('/v1/sessions', { ttl_seconds: 60 }, { expect: 201 });
    const { next_page_token: token } = (await d.get('/v1/processes?limit=1')).body;
    const { next_page_token: other } = (await d.get('/v1/processes?limit=1&state=running')).body;
    const { next_page_token: sessions } = (await d.get('/v1/sessions?limit=1')).body;
    await d.get(`/v1/processes?page_token=${token}`);
    const flipped = [...token].map((_, i) => `${token.slice(0, i)}${token[i] === '0' ? '1' : '0'}${token.slice(i + 1)}`).slice(-16);
    for (const bad of [...flipped, other, sessions, token.slice(0, -1), `${token}0`, token.toUpperCase().replace(/\d/g, 'G'), '', '0', '-1', '0'.repeat(48), 'g'.repeat(48), 'A'.repeat(10000), `${token}%00`, '%2e%2e', '*']) {
      const answer = await d.call('GET', `/v1/processes?page_token=${bad}`);
      assert.equal(answer.status, 400, `${bad}: ${answer}`);
    }
    problem(await d.call('GET', `/v1/processes?page_token=${token}&state=running`), 400, 'invalid_page_token');
    for (const bad of ['-1', '1.5', '0x1', '', '1 2', '99999999999999999999', '1\u20282', "1' OR 1=1"]) {
      const seen = await attack(d, request(d, 'GET /v1/changes', `Accept: text/event-stream\r\nConnection: close\r\nLast-Event-ID: ${Buffer.from(bad).toString('latin1')}\r\n`));
      assert.deepEqual(seen.statuses, [400], `Last-Event-ID ${JSON.stringify(bad)}`);
    }
  });
});
