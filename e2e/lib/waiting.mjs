// Waits until something is true, and measures how long something takes.

import { setTimeout as sleep } from "node:timers/promises";

const POLL_EVERY_MS = 50;

/** Waits for up to `seconds` until `check` returns something true, and returns that. An error counts as not yet. */
export async function eventually(description, check, seconds = 20) {
  const start = Date.now();
  let last;
  for (;;) {
    try {
      last = await check();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() - start > seconds * 1000) throw new Error(`not within ${seconds} s: ${description} (${last})`);
    await sleep(POLL_EVERY_MS);
  }
}

/** Returns the seconds that an action takes. */
export async function secondsOf(action) {
  const start = Date.now();
  await action();
  return (Date.now() - start) / 1000;
}
