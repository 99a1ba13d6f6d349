// SOURCE=callers: the watcher reads the frontend's proxy itself, and sees a rise within a second or two.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { SHORT_EJECTION, checkComesHome, lab } from "../lib/clusters/disturbance.mjs";
import { firstPod, kubectl, watcherLog, weights } from "../lib/clusters/kubectl.mjs";
import { allRolledOut, freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { LAB_PROXIES } from "../lib/clusters/proxies.mjs";
import { checkReplay } from "../lib/clusters/replay.mjs";
import { failed, lost, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { eventually } from "../lib/waiting.mjs";

const ROUNDS = 3;
const brokenWorker = "e2e/clusters/broken-worker.yaml";
const newVisitor = visitorsUntil(after);
let visitor;
let isCut = false;

const scaleBurst = (replicas) => kubectl("burst", "scale", "deployment/worker-deployment", `--replicas=${replicas}`);
function mend() {
  lab("mend");
  isCut = false;
}

before(async () => {
  await freshClusters("SOURCE=callers", SHORT_EJECTION, ...LAB_PROXIES);
  visitor = await newVisitor().connected();
});
after(async () => {
  if (isCut) mend();
  await kubectl("burst", "delete", "--ignore-not-found", "-f", brokenWorker);
  await scaleBurst(2);
  await restoreClusters();
});

const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];
const texts = (numbers) => numbers.map((number) => number.toFixed(1)).join(", ");

async function requestAndReceive(rate, cluster) {
  await visitor.requestRate(rate);
  return visitor.receivesOnlyFrom(cluster, 90);
}

test("the load bursts within a few seconds, comes home after the hold, and nothing fails", { timeout: 300_000 }, async () => {
  const startTime = Date.now();
  const start = visitor.stats;
  const [rises, falls] = [[], []];
  await requestAndReceive(5, "primary");
  await sleep(10_000);
  for (let round = 0; round < ROUNDS; round += 1) {
    rises.push(await requestAndReceive(20, "burst"));
    await sleep(5000);
    falls.push(await requestAndReceive(5, "primary"));
    await sleep(3000);
  }
  console.log(`burst after ${texts(rises)} s, median ${median(rises).toFixed(1)}; home after ${texts(falls)} s, median ${median(falls).toFixed(1)}`);
  assert.ok(median(rises) < 8, "it bursts before Prometheus could show it");
  assert.equal(failed(visitor.stats) - failed(start), 0);
  assert.equal(lost(visitor.stats) - lost(start), 0);
  await checkReplay(visitor, startTime);
});

test("the frontend is replaced under load: the load stays where it is", { timeout: 180_000 }, async () => {
  await requestAndReceive(20, "burst");
  await sleep(3000);
  await kubectl("primary", "delete", "pod", await firstPod("primary", "frontend"));
  await allRolledOut(90);
  // The load ends with the frontend that ran it.
  await eventually("the visitor is back", () => visitor.socket.connected && visitor.stats.freq === 0, 60);
  await requestAndReceive(20, "burst");
  await sleep(3000);
  assert.equal(await weights(), "0 100");
});

/** Breaks burst under load, checks that the traffic comes home within seconds, and mends burst. */
async function checkFailure(description, breakBurst, mendBurst) {
  await requestAndReceive(20, "burst");
  await sleep(3000);
  await checkComesHome(visitor, description, { breakBurst, mendBurst, seconds: 3, most: 10 });
}

test("burst is cut off: the load is home within seconds", { timeout: 300_000 }, async () => {
  await checkFailure("burst cut off", () => {
    isCut = true;
    lab("cut");
  }, mend);
});

test("burst answers 500: the load is home within seconds", { timeout: 300_000 }, async () => {
  await visitor.requestRate(20);
  await visitor.receivesOnlyFrom("burst", 180);
  await checkFailure("burst answers 500", async () => {
    await kubectl("burst", "apply", "-f", brokenWorker);
    await kubectl("burst", "rollout", "status", "deployment/broken-worker", "--timeout=60s");
    await scaleBurst(0);
  }, async () => {
    await scaleBurst(2);
    await kubectl("burst", "delete", "-f", brokenWorker);
  });
});

test("without a name for the callers the watcher asks Prometheus, and returns", { timeout: 180_000 }, async () => {
  await visitor.requestRate(5);
  await kubectl("primary", "delete", "service", "frontend-proxies");
  await kubectl("primary", "rollout", "restart", "deployment/istiowatcher-deployment");
  await allRolledOut(90);
  await eventually("the watcher asks Prometheus", async () => /the watcher asks Prometheus until/.test(await watcherLog()), 60);
  await kubectl("primary", "apply", "-f", "k8s/frontend.yaml");
  await eventually("it reads the callers again", async () => /the watcher reads the callers again/.test(await watcherLog()), 60);
});
