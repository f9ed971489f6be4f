// openapi.yaml, the contract as people write it, into openapi.json, as programs like to read it.
//
//   node tests/contract/generate.mjs           writes openapi.json
//   node tests/contract/generate.mjs --check   only tells whether it is up to date (exit status 1: it is not)
//
// The result is committed, so the build needs no node; document.test.mjs compares it with the source.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';

const source = new URL('../../openapi.yaml', import.meta.url);
const target = new URL('../../openapi.json', import.meta.url);

/** The parsed document. A key that stands twice, or an alias, is an error: not all readers treat them alike. */
export function load() {
  return parse(readFileSync(source, 'utf8'), { strict: true, uniqueKeys: true, maxAliasCount: 0 });
}

/** What openapi.json must hold, to the byte. */
export function render() {
  return `${JSON.stringify(load(), null, 1)}\n`;
}

/** What openapi.json holds now; an empty text when it is missing. */
export function committed() {
  try {
    return readFileSync(target, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (!process.argv.includes('--check')) {
    writeFileSync(target, render());
  } else if (committed() !== render()) {
    console.error('openapi.json is not up to date: run node tests/contract/generate.mjs');
    process.exitCode = 1;
  }
}
