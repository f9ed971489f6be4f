// Every operation of openapi.yaml by everybody who may ask: who lacks a token gets 401, who lacks the scope 403, nobody else either.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { liver, session } from '../lib/owners.mjs';
import { operations } from '../lib/operations.mjs';

/** Ends the caller's token: the last thing that each may do. */
const LAST = 'deleteOwnToken';

const inOrder = [...operations].sort((one, other) => (one.id === LAST) - (other.id === LAST));

const OWNER = ['read', 'logs', 'operate', 'spawn'];

/** name -> { token, has }: what it has is null for those that are nobody. */
async function roles(d) {
  const make = async (scopes, more) => (await d.post('/v1/tokens', { scopes, ...more }, { expect: 201 })).body;
  const [expired, deleted] = [await make(['admin'], { expires_in_seconds: 0.000001 }), await make(['admin'])];
  await d.delete(`/v1/tokens/${deleted.id}`);
  const known = { 'no token': { token: null, has: null }, 'a wrong token': { token: d.token.replace(/.$/, (c) => (c === '0' ? '1' : '0')), has: null },
    'an expired token': { token: expired.token, has: null }, 'a deleted token': { token: deleted.token, has: null } };
  for (const scope of ['read', 'logs', 'operate', 'spawn', 'admin']) known[`a token with ${scope}`] = { token: (await make([scope])).token, has: [scope] };
  return { ...known, 'the admin': { token: d.token, has: ['admin'] }, 'a process': { token: (await liver(d)).token, has: OWNER },
    'a session': { token: (await session(d)).token, has: OWNER } };
}

const allows = (has, scope) => scope === 'public' || (has !== null && (has.includes('admin') || scope === 'read' || has.includes(scope)));

/** What is wrong with the answer, or null. */
function fault({ has }, { scope }, answer) {
  if (allows(has, scope)) return [401, 403].includes(answer.status) ? 'was refused' : null;
  if (has === null) return answer.status === 401 && answer.body.code === 'unauthorized' ? null : 'was not 401';
  return answer.status === 403 && answer.body.code === 'forbidden' && answer.body.detail.includes(`"${scope}"`) ? null : `was not 403 naming ${scope}`;
}

suite('operations and roles', () => {
  daemonTest('every operation lets in who has its scope, and nobody else', { seconds: 120, args: ['--auth-failures=100000'] }, async (d) => {
    const wrong = [];
    assert.ok(operations.length > 100);
    for (const [name, role] of Object.entries(await roles(d))) {
      for (const operation of inOrder) {
        const { method, path, body, raw, headers } = operation;
        const answer = await d.call(method, path, { token: role.token, body, raw, headers });
        const what = fault(role, operation, answer);
        if (what) wrong.push(`${name}: ${operation.id} (${operation.scope}) ${what}: ${answer.status} ${answer.body?.detail ?? ''}`);
      }
    }
    assert.deepEqual(wrong, []);
    assert.equal((await d.system()).health, 'ok');
  });
});
