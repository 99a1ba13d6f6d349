// POLICY=spill on two clusters: primary carries what it can, and burst only the rest.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { weights } from "../lib/clusters/kubectl.mjs";
import { freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { failed, lost, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { BURST_PREFIX } from "../lib/results.mjs";
import { eventually } from "../lib/waiting.mjs";

/** The rate that primary can carry: CAPACITY's default. */
const CAPACITY = 15;
/** For how long the weights must be right before the rates are measured, in milliseconds. */
const SETTLED = 12_000;

const newVisitor = visitorsUntil(after);
let visitor;

before(async () => {
  await freshClusters("POLICY=spill", "SPILL_STABILIZATION_WINDOW=20s", "SPILL_TOLERANCE=5", "SPILL_HEADROOM=0.95", "SPILL_FLAP_BUDGET=60");
  visitor = await newVisitor().connected();
});
after(restoreClusters);

/** Returns the results per second of each cluster, over some seconds. */
async function rates(seconds) {
  const count = () => {
    const { "": primary = 0, [BURST_PREFIX]: burst = 0 } = visitor.stats.results.by_prefix;
    return { primary, burst };
  };
  const start = count();
  await sleep(seconds * 1000);
  const end = count();
  return { primary: (end.primary - start.primary) / seconds, burst: (end.burst - start.burst) / seconds };
}

test("at 5, 12, 20, 40 and 5 per second, primary carries up to 15/s, and burst the rest", { timeout: 600_000 }, async () => {
  const start = visitor.stats;
  for (const rate of [5, 12, 20, 40, 5]) {
    await visitor.requestRate(rate);
    const atHome = Math.min(rate, CAPACITY);
    // More goes to burst while the policy reckons with a queue at primary.
    let since = Infinity;
    await eventually(
      `at ${rate}/s primary should carry about ${atHome}/s for ${SETTLED / 1000} s`,
      async () => {
        const carried = (Number.parseInt(await weights(), 10) / 100) * rate;
        const isRight = carried > atHome * 0.84 && carried < atHome * 1.1;
        since = isRight ? Math.min(since, Date.now()) : Infinity;
        return Date.now() - since >= SETTLED;
      },
      120,
    );
    // The proxies receive the new weights a moment later.
    await sleep(2000);
    const { primary, burst } = await rates(20);
    console.log(`spill at ${rate}/s: primary ${primary.toFixed(1)}/s, burst ${burst.toFixed(1)}/s, weights ${await weights()}`);
    assert.ok(Math.abs(primary + burst - rate) < 0.1 * rate + 0.5, `${primary} + ${burst}`);
    assert.ok(primary < CAPACITY * 1.2, `primary ${primary}/s`);
    if (rate > CAPACITY) assert.ok(primary > CAPACITY * 0.75, `primary ${primary}/s`);
  }
  await eventually("all traffic is home", async () => ["100 0", "99 1"].includes(await weights()), 120);
  assert.equal(failed(visitor.stats) - failed(start), 0);
  assert.equal(lost(visitor.stats) - lost(start), 0);
});
