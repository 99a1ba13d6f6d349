// Waits until something is true, and measures how long something takes.

import { setTimeout as sleep } from "node:timers/promises";

const POLL_EVERY_MS = 50;
/** The most of the time that a check may take, so that the processors are left to what is waited for. kubectl takes 100 ms. */
const CHECKING_SHARE = 0.25;
/** A check that waits itself, for an answer, is repeated soon. */
const MAX_PAUSE_MS = 500;

/** Waits for up to `seconds` until `check` returns something true, and returns that. An error counts as not yet. */
export async function eventually(description, check, seconds = 20) {
  const start = Date.now();
  let last;
  for (;;) {
    const checkStart = Date.now();
    try {
      last = await check();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() - start > seconds * 1000) throw new Error(`not within ${seconds} s: ${description} (${last})`);
    const pause = (Date.now() - checkStart) * (1 / CHECKING_SHARE - 1);
    await sleep(Math.min(Math.max(pause, POLL_EVERY_MS), MAX_PAUSE_MS));
  }
}

/** Returns the seconds that an action takes. */
export async function secondsOf(action) {
  const start = Date.now();
  await action();
  return (Date.now() - start) / 1000;
}
