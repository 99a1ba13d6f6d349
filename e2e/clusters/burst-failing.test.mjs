// Burst's workers fail under load: the traffic comes home, and the watcher tries burst again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { MOST_SECONDS_OF_FAILURES, SHORT_EJECTION, checkComesHome, pause, resumeAll } from "../lib/clusters/disturbance.mjs";
import { kubectl, watcherLog, weights } from "../lib/clusters/kubectl.mjs";
import { allRolledOut, applyAll, freshWatcher, restoreClusters } from "../lib/clusters/manifests.mjs";
import { visitorsUntil } from "../lib/clusters/visitor.mjs";
import { eventually } from "../lib/waiting.mjs";

const RATE = 20;
const brokenWorker = "e2e/clusters/broken-worker.yaml";
const newVisitor = visitorsUntil(after);
let visitor;

const scaleBurst = (replicas) => kubectl("burst", "scale", "deployment/worker-deployment", `--replicas=${replicas}`);

before(async () => {
  await applyAll();
  await allRolledOut(90);
  visitor = await newVisitor().connected();
});
after(async () => {
  resumeAll();
  await kubectl("burst", "delete", "--ignore-not-found", "-f", brokenWorker);
  await scaleBurst(2);
  await restoreClusters();
});

/** Sends all traffic to burst. */
async function beginBurst() {
  await freshWatcher(SHORT_EJECTION);
  await visitor.requestRate(RATE);
  await visitor.receivesOnlyFrom("burst", 120);
}

/** Breaks burst under load, checks that the traffic comes home in time because burst fails, and mends burst. */
async function checkFailure(description, breakBurst, mendBurst) {
  await checkComesHome(visitor, description, { breakBurst, mendBurst, seconds: 5, most: MOST_SECONDS_OF_FAILURES });
  assert.match(await watcherLog(), /ClusterUnhealthy/);
}

test("burst answers 500: the load is home within 15 s, and burst is tried again", { timeout: 400_000 }, async () => {
  await beginBurst();
  await checkFailure("burst answers 500", async () => {
    await kubectl("burst", "apply", "-f", brokenWorker);
    await kubectl("burst", "rollout", "status", "deployment/broken-worker", "--timeout=60s");
    await scaleBurst(0);
  }, async () => {
    await scaleBurst(2);
    await kubectl("burst", "delete", "-f", brokenWorker);
  });
  await visitor.receivesOnlyFrom("burst", 180);
  assert.match(await watcherLog(), /ClusterOnTrial/);
});

test("burst hangs: the load is home within 15 s", { timeout: 300_000 }, async () => {
  await beginBurst();
  await checkFailure("burst hangs", () => pause("burst", "worker"), resumeAll);
});

const mendScaledBurst = async () => {
  await scaleBurst(2);
  await allRolledOut(90);
};

test("burst is scaled to 0: the load is home within 15 s", { timeout: 300_000 }, async () => {
  await beginBurst();
  await checkFailure("burst scaled to 0", () => scaleBurst(0), mendScaledBurst);
});

test("burst is scaled to 0 while a spill rises: the load is home within 15 s", { timeout: 300_000 }, async () => {
  await freshWatcher(SHORT_EJECTION, "POLICY=spill", "SPILL_PROBE=0");
  await visitor.requestRate(RATE);
  await eventually("burst has a share", async () => Number((await weights()).split(" ")[1]) >= 20, 90);
  await checkFailure("burst scaled to 0 in a rising spill", async () => {
    await visitor.requestRate(RATE * 1.5);
    await scaleBurst(0);
    await sleep(5000);
    await visitor.requestRate(RATE * 2);
  }, mendScaledBurst);
});
