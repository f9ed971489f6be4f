// Waiting for conditions. No test sleeps for a fixed time to "let something happen": it asks until it is so,
// and the bound is only there so that a broken daemon fails the test and does not hang it.
import { performance } from 'node:perf_hooks';

/** Seconds that anything may take before the test gives up: generous for a busy machine and for sanitizers. */
export const PATIENCE = Number(process.env.FORKFUL_TEST_PATIENCE ?? 30);

export const now = () => performance.now() / 1000;

export const sleep = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });

/** Calls `probe` until it gives something truthy, and gives that. `what` is the sentence that fails. */
export async function until(what, probe, { within = PATIENCE, every = 0.01 } = {}) {
  const deadline = now() + within;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
      if (error.final) throw error;
    }
    if (now() > deadline) {
      throw new Error(`waited ${within} s in vain until ${what}; last seen: ${last instanceof Error ? last.message : JSON.stringify(last)}`);
    }
    await sleep(every);
  }
}

/** Fails when `promise` takes longer than `within` seconds. */
export async function soon(promise, what = 'it answers', within = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${within} s in vain until ${what}`)), within * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `body` and gives { seconds, value }. */
export async function timed(body) {
  const begun = now();
  const value = await body();
  return { seconds: now() - begun, value };
}
