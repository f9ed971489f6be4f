// What the kernel says about processes: the tests' second source beside the daemon.
import { readdirSync, readFileSync } from 'node:fs';

/** Fields of /proc/PID/stat, or null when there is no such process. */
export function stat(pid) {
  let text;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    state: fields[0], ppid: Number(fields[1]), pgrp: Number(fields[2]), session: Number(fields[3]),
    nice: Number(fields[16]), start: fields[19],
  };
}

/** Seconds of processor time that the process has used. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100; // utime, stime in ticks
}

/** True while the process runs; a zombie has ended. */
export function alive(pid) {
  const seen = stat(pid);
  return seen !== null && seen.state !== 'Z' && seen.state !== 'X';
}

export function pids() {
  return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map(Number);
}

/** All processes, zombies too, whose parent is `pid`. */
export function childrenOf(pid) {
  return pids().filter((one) => stat(one)?.ppid === pid);
}

/** Living processes whose environment holds the text `mark`: what one daemon of ours has brought into the world. */
export function marked(mark) {
  return pids().filter((pid) => {
    if (pid === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark) && alive(pid);
    } catch {
      return false;
    }
  });
}

export function send(pid, signal) {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Ends every process that carries `mark`: stopped first, so that none can start another one meanwhile. Where there
 * was one it is looked for twice: in the moment of an exec a process shows no environment.
 */
export function killMarked(mark) {
  const seen = new Set();
  let quiet = 0;
  for (let round = 0; round < 50; round += 1) {
    const found = marked(mark);
    quiet = found.length === 0 ? quiet + 1 : 0;
    if (quiet > 0 && (quiet === 2 || seen.size === 0)) break;
    for (const pid of found) send(pid, 'SIGSTOP');
    for (const pid of found) { send(pid, 'SIGKILL'); seen.add(pid); }
  }
  return [...seen];
}

export function cmdline(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').join(' ').trim();
  } catch {
    return '';
  }
}
