// Assertions in the words of the contract.
import assert from 'node:assert/strict';

export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
export const PROCESS_ID = /^p_[0-9a-hjkmnp-tv-z]{26}$/;

/** The answer is a problem with this status and code; gives its body. */
export function problem(answer, status, code) {
  assert.equal(answer.status, status, `${answer}`);
  assert.match(answer.type, /^application\/problem\+json\b/, `${answer}`);
  assert.equal(answer.body.status, status);
  if (code !== undefined) assert.equal(answer.body.code, code, `${answer}`);
  assert.ok(answer.body.detail.length > 0, 'the detail says something');
  return answer.body;
}

/** The faults of a problem as "place code" in order of place: ["/argvv unknown_field"]. */
export function faults(body) {
  return body.errors.map((one) => `${one.pointer ?? one.parameter ?? one.header} ${one.code}`).sort();
}

/** Microseconds since 1970 of an RFC 3339 time with six decimals. */
export function micros(at) {
  assert.match(at, TIME);
  return Date.parse(`${at.slice(0, 19)}Z`) * 1000 + Number(at.slice(20, 26));
}

/** Seconds from `from` to `to`, both times of the API. */
export const between = (from, to) => (micros(to) - micros(from)) / 1e6;

/** The lines of records, gaps left out. */
export const texts = (items) => items.filter((one) => !one.gap).map((one) => one.text);

/** The bytes of a line record. */
export function lineBytes(record) {
  return record.text === undefined ? Buffer.from(record.data_base64, 'base64') : Buffer.from(record.text);
}

/** The record of a process that ended by itself with `code`. */
export function exitedWith(process, code) {
  assert.equal(process.state, 'exited', JSON.stringify(process));
  assert.equal(process.alive, false);
  assert.equal(process.exitcode, code, JSON.stringify(process));
  assert.equal(process.exit.kind, 'exited');
  assert.equal(process.exit.code, code);
  assert.equal(process.exit.signal, null);
  assert.equal(process.exit.shell_code, code);
}

/** The record of a process that a signal ended, for this reason. */
export function killedBy(process, number, name, reason) {
  assert.equal(process.state, 'exited', JSON.stringify(process));
  assert.equal(process.exitcode, -number, JSON.stringify(process));
  assert.equal(process.exit.kind, 'signaled');
  assert.equal(process.exit.signal, name);
  assert.equal(process.exit.code, null);
  assert.equal(process.exit.shell_code, 128 + number);
  if (reason !== undefined) assert.equal(process.exit.reason, reason, JSON.stringify(process));
}

/** The numbers `from` … `to`, both included. */
export const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
