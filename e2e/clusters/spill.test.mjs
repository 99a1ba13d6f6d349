// POLICY=spill on two clusters: primary stays just full, and only what it cannot carry goes to burst.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually } from "../support.mjs";
import { failed, fresh, lost, visitorsUntil, weights } from "./support.mjs";

const visit = visitorsUntil(after);
let visitor;

before(async () => {
  await fresh("POLICY=spill", "SPILL_WINDOW=20s", "SPILL_DEAD_BAND=5", "SPILL_FLAP_BUDGET=60");
  visitor = await visit().connected();
});

/** Requests per second that each cluster answers, over some seconds. */
async function rates(seconds) {
  const count = () => ({ primary: 0, burst: 0, ...Object.fromEntries(Object.entries(visitor.stats.results.by_prefix).map(([prefix, results]) => [prefix === "" ? "primary" : "burst", results])) });
  const start = count();
  await sleep(seconds * 1000);
  const end = count();
  return { primary: (end.primary - start.primary) / seconds, burst: (end.burst - start.burst) / seconds };
}

test("5, 12, 20, 40, 5: primary carries up to 15/s, burst the rest", { timeout: 420_000 }, async () => {
  const start = visitor.stats;
  for (const rate of [5, 12, 20, 40, 5]) {
    await visitor.ask(rate);
    const atHome = Math.min(rate, 15);
    await eventually(
      `at ${rate}/s primary is to carry some ${atHome}/s`,
      async () => {
        const carried = (Number.parseInt(await weights(), 10) / 100) * rate;
        return carried > atHome * 0.84 && carried < atHome * 1.1;
      },
      90,
    );
    // Until the proxies have heard of it.
    await sleep(2000);
    const { primary, burst } = await rates(20);
    console.log(`spill at ${rate}/s: primary ${primary.toFixed(1)}/s, burst ${burst.toFixed(1)}/s, weights ${await weights()}`);
    assert.ok(Math.abs(primary + burst - rate) < 0.1 * rate + 0.5, `${primary} + ${burst}`);
    assert.ok(primary < 15 * 1.2, `primary ${primary}/s`);
    if (rate > 15) assert.ok(primary > 15 * 0.75, `primary ${primary}/s`);
  }
  await eventually("all is at home", async () => ["100 0", "99 1"].includes(await weights()), 120);
  assert.equal(failed(visitor.stats) - failed(start), 0);
  assert.equal(lost(visitor.stats) - lost(start), 0);
});
