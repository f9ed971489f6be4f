// A token and its row of the audit are made and deleted in one step, wherever the server is killed in it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';

/** A call whose answer may never come: the answer, or null. */
const attempt = (d, method, where, body) => d.call(method, where, { body }).catch(() => null);
const ids = async (d) => (await d.get('/v1/tokens', { patient: 30 })).body.items.map((one) => one.id);

/** What the audit tells of tokens, as "action target". */
async function told(d, action) {
  const { items } = (await d.get(`/v1/audit?action=${action}&limit=500`)).body;
  return items.map((one) => one.target);
}

suite('a token while the server is killed', () => {
  for (const point of ['writer_before_commit', 'writer_between_files', 'writer_after_commit']) {
    daemonTest(`at ${point} is there with its row, or neither is; deleted, it stays so`, async (d) => {
      let kills = 0;
      for (let passage = 1; passage <= 4; passage += 1) {
        const once = path.join(d.dir, `once-${passage}`);
        await d.restart({ FORKFUL_FAULT: `${point}:${passage}`, FORKFUL_FAULT_ONCE: once });
        const made = await attempt(d, 'POST', '/v1/tokens', { scopes: ['read'] });
        const there = await ids(d);
        if (made) assert.ok(there.includes(made.body.id), 'what was answered is there');
        assert.deepEqual((await told(d, 'createToken')).sort(), [...there.map((id) => `/v1/tokens/${id}`), ...await told(d, 'deleteToken')].sort());
        if (made) {
          const gone = await attempt(d, 'DELETE', `/v1/tokens/${made.body.id}`);
          const deleted = !(await ids(d)).includes(made.body.id);
          if (gone) assert.ok(deleted, 'what was answered is gone');
          assert.equal((await told(d, 'deleteToken')).includes(`/v1/tokens/${made.body.id}`), deleted);
          if (deleted) problem(await d.call('GET', '/v1/system', { token: made.body.token }), 401, 'unauthorized');
        }
        kills += existsSync(once) ? 1 : 0;
      }
      assert.ok(kills > 0, 'the server was killed');
    });
  }
});
