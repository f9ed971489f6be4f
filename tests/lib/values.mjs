// Calls on the value `v`, for the tests of values.
import assert from 'node:assert/strict';
import { problem } from './check.mjs';

export const make = async (d, body, name = 'v') => (await d.call('PUT', `/v1/values/${name}`, { body, expect: 201 })).body;
export const get = async (d, query = '', options = {}) => (await d.get(`/v1/values/v${query}`, options)).body;
export const value = async (d) => (await get(d)).value;
export const run = (d, verb, body, options = {}) => d.post(`/v1/values/v/${verb}`, body, options);
export const done = async (d, verb, body, options = {}) => (await run(d, verb, body, { expect: 200, ...options })).body;
export const put = (d, body, options = {}) => d.call('PUT', '/v1/values/v/value', { body, ...options });
export const refused = async (d, verb, body, status, code) => {
  const before = await get(d);
  const answer = problem(await run(d, verb, body), status, code);
  const after = await get(d);
  assert.deepEqual([after.value, after.version], [before.value, before.version], 'nothing has changed');
  return answer;
};
