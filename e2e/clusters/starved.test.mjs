// All processors are busy with something else, under twenty requests a second.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { watchFailures } from "../lib/clusters/disturbance.mjs";
import { watcherLog, weights } from "../lib/clusters/kubectl.mjs";
import { freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { failed, visitorsUntil } from "../lib/clusters/visitor.mjs";

const RATE = 20;
const newVisitor = visitorsUntil(after);
let visitor;

before(async () => {
  await freshClusters();
  visitor = await newVisitor().connected();
  await visitor.requestRate(RATE);
  await visitor.receivesOnlyFrom("burst", 120);
});
after(restoreClusters);

test("all processors are starved for a minute: no wrong switch, and the ledger adds up", { timeout: 120_000 }, async () => {
  const logBefore = await watcherLog();
  const count = 2 * availableParallelism();
  const burners = Array.from({ length: count }, () => spawn("timeout", ["70", "bash", "-c", "while :; do :; done"]));
  const end = watchFailures(visitor);
  await sleep(60_000);
  burners.forEach((burner) => burner.kill());
  await sleep(7000);
  const report = end();
  console.log(`starved: ${JSON.stringify(report)}, ${visitor.stats.ledger.missed} missed`);
  assert.equal(await weights(), "0 100");
  assert.equal((await watcherLog()).split("weights written").length, logBefore.split("weights written").length);
  const { planned, sent, missed, shed, answered, in_flight: inFlight } = visitor.stats.ledger;
  assert.deepEqual([planned, sent], [sent + missed + shed, answered + failed(visitor.stats) + inFlight]);
  assert.equal(report.lost, 0);
  assert.ok(report.answered > 60 * RATE * 0.8, `${report.answered} answered`);
});
