// Faults of a running server: the test's side of preload.c. One file, mapped by the server, in which each fault has a slot.
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, Daemon, PATIENCE, soon } from '../lib/daemon.mjs';

const LIBRARY = path.join(path.dirname(BINARY), 'faults.so');

/** As in preload.c. */
const FAULTS = ['memory', 'state_write', 'state_sync', 'logs_write', 'logs_sync', 'database_read', 'open', 'accept', 'random', 'interrupt', 'short', 'small_buffers', 'exit'];
const HEAD_BYTES = 16;
const SLOT_BYTES = 48;

export class Faults {
  constructor({ seed = 1 } = {}) {
    this.dir = mkdtempSync(path.join(tmpdir(), 'forkful-faults-'));
    const file = path.join(this.dir, 'control');
    this.clock_file = path.join(this.dir, 'clock');
    writeFileSync(file, Buffer.alloc(HEAD_BYTES + SLOT_BYTES * FAULTS.length));
    writeFileSync(this.clock_file, Buffer.alloc(8));
    this.fd = openSync(file, 'r+');
    this.write(0, seed);
    this.env = {
      LD_PRELOAD: LIBRARY, FAULTS_CONTROL: file, FORKFUL_CLOCK: this.clock_file,
      ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`,
    };
  }

  write(at, ...numbers) {
    const bytes = Buffer.alloc(8 * numbers.length);
    numbers.forEach((one, i) => bytes.writeBigInt64LE(BigInt(one), 8 * i));
    writeSync(this.fd, bytes, 0, bytes.length, at);
  }

  /** `error` for the calls after the first `skip`: `times` of them (-1: all), or `per_mille` by chance. */
  set(fault, error, { skip = 0, times = -1, per_mille = 0 } = {}) {
    const at = HEAD_BYTES + SLOT_BYTES * FAULTS.indexOf(fault);
    this.write(at, 0, skip, times, per_mille, 0, 0);
    this.write(at, constants.errno[error]);
  }

  /** Switches it off; gives how many calls failed. */
  clear(fault) {
    const at = HEAD_BYTES + SLOT_BYTES * FAULTS.indexOf(fault);
    this.write(at, 0);
    return this.failed(fault);
  }

  failed(fault) {
    const bytes = Buffer.alloc(8);
    readSync(this.fd, bytes, 0, 8, HEAD_BYTES + SLOT_BYTES * (FAULTS.indexOf(fault) + 1) - 8);
    return Number(bytes.readBigInt64LE());
  }

  /** What the wall clock is ahead by, for server and keeper. */
  clock(seconds) {
    const us = BigInt(Math.round(seconds * 1e6));
    this.write(8, us);
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(us);
    const fd = openSync(this.clock_file, 'r+');
    writeSync(fd, bytes);
    closeSync(fd);
  }

  close() {
    closeSync(this.fd);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A test over a daemon whose server meets what `faults` says: faultyTest('a sentence', [options,] async (d, faults, t) => …). */
export function faultyTest(name, ...rest) {
  const body = rest.pop();
  const { seconds = PATIENCE * 4, seed, env, ...options } = rest.pop() ?? {};
  return test(name, { timeout: (seconds + PATIENCE * 3) * 1000 }, async (t) => {
    const faults = new Faults({ seed });
    const daemon = new Daemon({ ...options, env: { ...env, ...faults.env } });
    try {
      await daemon.start();
      await soon(Promise.resolve(body(daemon, faults, t)), 'the test ends', seconds);
      for (const one of FAULTS) faults.clear(one);
      await daemon.stop();
    } catch (error) {
      if (daemon.stderr) t.diagnostic(`stderr: ${daemon.stderr.slice(-3000)}`);
      throw error;
    } finally {
      daemon.sweep();
      faults.close();
    }
  });
}

/** How the servers of this daemon ended: `exits` by themselves, `crashes` by a signal other than those the test sent. */
export function ends(d) {
  const signals = [...d.stderr.matchAll(/the server ended \(signal (\d+)\)/g)].map((one) => Number(one[1]));
  const exits = [...d.stderr.matchAll(/the server ended \(exit status (\d+)\)/g)].map((one) => Number(one[1]));
  return { exits, crashes: signals.filter((one) => one !== 9) };
}
