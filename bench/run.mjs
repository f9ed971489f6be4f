// The benchmark: node run.mjs BUILD_DIRECTORY [SECTION…], or `make bench` from above.
//
// Runs each section of the table below, prints its rows as they come, and a summary. A missed target
// is a finding and leaves the exit status 0; 1 means that something did not run or answered
// wrongly. QUICK=1 takes fewer and smaller rounds.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { coordinationSection, wakesSection } from './coordination.mjs';
import { poolSection } from './pool.mjs';
import { crowdSection } from './crowd.mjs';
import { killAll } from './daemon.mjs';
import { outputSection } from './output.mjs';
import { getSection, spawnSection, startSection, version } from './sections.mjs';

const SECTIONS = {
    start: startSection, spawn: spawnSection, get: getSection, output: outputSection, crowd: crowdSection,
    coordination: coordinationSection, wakes: wakesSection, pool: poolSection,
};
const LIMIT_SECONDS = 600;
const COLUMNS = [
    ['measure', 44], ['ours', 13], ['peer', 13], ['ratio', 6], ['target', 11], ['met', 4], ['note', 0],
];

function printCells(cells) {
    console.log(COLUMNS.map(([name, width]) => (cells[name] ?? '').padEnd(width)).join(' ').trimEnd());
}

const printHead = () => printCells(Object.fromEntries(COLUMNS.map(([name]) => [name, name])));

const printRow = (row) => printCells(
    { ...row, ratio: row.ratio?.toFixed(2), met: { true: 'yes', false: 'NO' }[row.met] });

async function printMachine(bench) {
    const system = execFileSync('stat', ['-f', '-c', '%T', os.tmpdir()], { encoding: 'utf8' }).trim();
    const memory = Math.round(os.totalmem() / 2 ** 30);
    console.log(`${await version(bench.binary)} · ${os.cpus().length} × ${os.cpus()[0].model.trim()}, ` +
        `${memory} GiB · ${os.type()} ${os.release()} · ${os.tmpdir()} on ${system}` +
        `${bench.quick ? ' · QUICK' : ''} · load ${os.loadavg()[0].toFixed(1)}\n`);
}

function fail(error) {
    killAll();
    console.error(`bench: ${error.message}`);
    process.exit(1);
}

async function main([directory, ...names]) {
    const unknown = names.find((name) => !(name in SECTIONS));
    if (!directory || unknown)
        throw new Error(`usage: node run.mjs BUILD_DIRECTORY [${Object.keys(SECTIONS).join('|')}]…`);
    const bench = {
        binary: path.resolve(directory, 'forkful'),
        tool: (name) => path.resolve(directory, 'bench', name),
        quick: Boolean(process.env.QUICK && process.env.QUICK !== '0'),
    };
    fs.accessSync(bench.binary, fs.constants.X_OK);
    const start = performance.now(), rows = [];
    await printMachine(bench);
    printHead();
    for (const name of names.length ? names : Object.keys(SECTIONS)) {
        const section = await SECTIONS[name](bench);
        section.forEach(printRow);
        rows.push(...section);
    }
    const judged = rows.filter((row) => row.met !== null);
    console.log(`\n${judged.filter((row) => row.met).length} of ${judged.length} targets met, ` +
        `${Math.round((performance.now() - start) / 1000)} s`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => fail(new Error(signal)));
setTimeout(() => fail(new Error(`not done after ${LIMIT_SECONDS} s`)), LIMIT_SECONDS * 1000).unref();
process.once('unhandledRejection', fail);
main(process.argv.slice(2)).catch(fail);
