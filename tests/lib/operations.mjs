// Every operation of openapi.yaml, addressed so that no call of it has an effect.
import { load } from '../contract/generate.mjs';

const methods = ['get', 'post', 'put', 'delete'];
const document = load();
const resolve = (one) => (one?.$ref ? one.$ref.slice(2).split('/').reduce((place, key) => place[key], document) : one);

const ULID = '01jd8m3q7v0x4t5k6n7p8q9r0s';
const PREFIX = { processes: 'p', sessions: 's', tokens: 'k', holds: 'h', tasks: 't', batches: 'b', messages: 'm' };

/** An address of things that are not there, so that no call has an effect. */
function address(template) {
  return template.replace(/([a-z]+)\/\{id\}/g, (_, plural) => `${plural}/${PREFIX[plural]}_${ULID}`).replace('{name}', 'none').replace('{end}', 'a');
}

/** A body with a field that is known nowhere: what takes JSON gets no further than its check. */
function bodyOf(operation) {
  const body = resolve(operation.requestBody);
  if (!body) return {};
  return body.content['application/json'] ? { body: { no_such_field: true } } : { raw: 'x', headers: { 'Content-Type': 'text/plain' } };
}

/** [{ id, scope, method, path, body | raw, headers }] */
export const operations = Object.entries(document.paths).flatMap(([template, item]) => methods.filter((method) => item[method])
  .map((method) => ({ id: item[method].operationId, scope: item[method]['x-scope'], method: method.toUpperCase(), path: address(template), ...bodyOf(item[method]) })));
