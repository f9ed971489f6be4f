// docs/coordination.md knows the codes that the daemon has, with their statuses, and its kinds of objects.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from '../lib/daemon.mjs';
import { load } from './generate.mjs';

const text = readFileSync(path.join(REPOSITORY, 'docs/coordination.md'), 'utf8');
const problems = readFileSync(path.join(REPOSITORY, 'service/problem.h'), 'utf8');

test('every code of the table of Python\'s exceptions is one of the daemon, with that status', () => {
  const built = new Set([...problems.matchAll(/^\s+X\([A-Z_]+, "([a-z_]+)", (\d{3}),/gm)].map(([, word, status]) => `${status} ${word}`));
  const section = text.slice(text.indexOf('## Python\'s exceptions'), text.indexOf('## Threads or processes'));
  const named = [...section.matchAll(/\b([45]\d\d) `([a-z_]+)`/g)];
  assert.ok(named.length > 25, `${named.length}`);
  assert.deepEqual(named.map(([, status, word]) => `${status} ${word}`).filter((one) => !built.has(one)), []);
});

test('every kind of object has its row', () => {
  const kinds = load().components.schemas;
  const rows = [...text.slice(text.indexOf('## The kinds'), text.indexOf('| what else ends')).matchAll(/^\| ([a-z]+) \|/gm)].map(([, kind]) => kind).filter((kind) => kind !== 'kind');
  const known = Object.entries(kinds).filter(([, schema]) => schema.required?.includes('lifetime') && schema.required.includes('kind')).map(([name]) => name);
  assert.deepEqual([...rows].sort(), known.sort());
});
