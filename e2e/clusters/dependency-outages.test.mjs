// What the clusters depend on fails, under twenty requests a second: Prometheus, API servers, a clock, istiod.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { after, before, test } from "node:test";

import { nothingFails, pause, resumeAll } from "../lib/clusters/disturbance.mjs";
import { CLUSTERS, kubectl, watcherLog, weights } from "../lib/clusters/kubectl.mjs";
import { freshClusters, freshWatcher, restoreClusters } from "../lib/clusters/manifests.mjs";
import { visitorsUntil } from "../lib/clusters/visitor.mjs";
import { root } from "../lib/environment.mjs";
import { eventually } from "../lib/waiting.mjs";

const RATE = 20;
const newVisitor = visitorsUntil(after);
let visitor;
let wrongClock;

const inIstioSystem = (...args) => kubectl("primary", "-n", "istio-system", ...args);

async function bringToBurst() {
  await visitor.requestRate(RATE);
  await visitor.receivesOnlyFrom("burst", 120);
}

before(async () => {
  await freshClusters();
  visitor = await newVisitor().connected();
  await bringToBurst();
});
after(async () => {
  wrongClock?.stdin.end();
  resumeAll();
  await inIstioSystem("scale", "deployment/istiod", "deployment/prometheus", "--replicas=1");
  await inIstioSystem("rollout", "status", "deployment/istiod", "--timeout=90s");
  await inIstioSystem("rollout", "status", "deployment/prometheus", "--timeout=90s");
  await restoreClusters();
});

test("Prometheus is away for 20 s: the weights are held, and the rate is known again by itself", { timeout: 180_000 }, async () => {
  const logBefore = await watcherLog();
  await inIstioSystem("scale", "deployment/prometheus", "--replicas=0");
  await nothingFails(visitor, "Prometheus away", 20);
  assert.equal(await weights(), "0 100");
  assert.match((await watcherLog()).slice(logBefore.length), /RateUnknown/);
  await inIstioSystem("scale", "deployment/prometheus", "--replicas=1");
  await inIstioSystem("rollout", "status", "deployment/prometheus", "--timeout=60s");
  await nothingFails(visitor, "Prometheus back, without its samples", 20);
  assert.equal(await weights(), "0 100");
});

for (const cluster of CLUSTERS) {
  test(`${cluster}'s API server is away for 15 s: the traffic goes on`, { timeout: 120_000 }, async () => {
    pause(cluster, "kube-apiserver");
    try {
      await nothingFails(visitor, `${cluster}'s API server away`, 15);
    } finally {
      resumeAll();
    }
    await eventually("it answers again", () => kubectl(cluster, "get", "nodes"), 30);
    assert.equal(await weights(), "0 100");
  });
}

test("the clock of Prometheus goes wrong, and is right again: no wrong switch, and the load is still followed", { timeout: 180_000 }, async () => {
  const { clusterIP } = JSON.parse(await inIstioSystem("get", "service", "prometheus", "-o", "json")).spec;
  const proxy = ["node", path.join(root, "e2e/lib/clusters/wrong-clock.mjs"), `http://${clusterIP}:9090`];
  wrongClock = spawn("e2e/lab", ["in", "primary", ...proxy], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const [port] = await once(wrongClock.stdout, "data");
  const node = await kubectl("primary", "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}");
  await freshWatcher(`PROMETHEUS_URL=http://${node}:${String(port).trim()}`);
  await bringToBurst();
  await nothingFails(visitor, "the clock is right", 5);
  wrongClock.stdin.write("120\n");
  await nothingFails(visitor, "the clock is two minutes ahead", 45);
  assert.equal(await weights(), "0 100");
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 90);
  assert.equal(await weights(), "100 0");
  await bringToBurst();
  wrongClock.stdin.write("0\n");
  await nothingFails(visitor, "the clock is right again", 45);
  assert.equal(await weights(), "0 100");
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 90);
});

test("istiod is away as the traffic should come home: the traffic goes on, and moves when istiod is back", { timeout: 300_000 }, async () => {
  await freshWatcher();
  await bringToBurst();
  await inIstioSystem("scale", "deployment/istiod", "--replicas=0");
  await inIstioSystem("wait", "--for=delete", "pod", "-l", "app=istiod", "--timeout=60s");
  await visitor.requestRate(5);
  await nothingFails(visitor, "istiod away", 60);
  assert.equal(await weights(), "0 100", "the patch is refused");
  const refusals = (await watcherLog()).split("\n").filter((line) => /WARN|ERROR/.test(line) && /webhook/.test(line));
  assert.equal(refusals.length, 1, refusals.join("\n"));
  await inIstioSystem("scale", "deployment/istiod", "--replicas=1");
  await inIstioSystem("rollout", "status", "deployment/istiod", "--timeout=90s");
  const start = Date.now();
  await eventually("the weights are home", async () => (await weights()) === "100 0", 10);
  console.log(`istiod back: weights home after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  // Proxies look for istiod again after up to half a minute.
  await visitor.receivesOnlyFrom("primary", 60);
});
