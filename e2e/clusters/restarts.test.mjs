// Pods are deleted, Deployments are restarted or doubled, all under load: everything works again by itself.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { SHORT_EJECTION } from "../lib/clusters/disturbance.mjs";
import { WATCHER, firstPod, kubectl, weights } from "../lib/clusters/kubectl.mjs";
import { allRolledOut, freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { between, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const RATE = 20;
const newVisitor = visitorsUntil(after);
let visitor;

before(async () => {
  await freshClusters(SHORT_EJECTION);
  visitor = await newVisitor().connected();
  await visitor.requestRate(RATE);
  await visitor.receivesOnlyFrom("burst", 60);
});
after(async () => {
  await kubectl("primary", "scale", WATCHER, "--replicas=1");
  await restoreClusters();
});

/** Returns how many requests were answered, failed and lost during an action, and for some seconds after it. */
async function requestsDuring(description, action) {
  const start = visitor.stats;
  const seconds = await secondsOf(action);
  await sleep(7000);
  const report = between(start, visitor.stats);
  console.log(`${description}: ${seconds.toFixed(1)} s, ${JSON.stringify(report)}`);
  return report;
}

const deletePod = async (context, app) => {
  await kubectl(context, "delete", "pod", await firstPod(context, app));
  await allRolledOut(90);
};
const restart = async (context, deployment) => {
  await kubectl(context, "rollout", "restart", `deployment/${deployment}`);
  await kubectl(context, "rollout", "status", `deployment/${deployment}`, "--timeout=90s");
};

for (const [name, action] of [
  ["a worker of burst is deleted", () => deletePod("burst", "worker")],
  ["burst's workers are restarted, one after the other", () => restart("burst", "worker-deployment")],
  ["primary's workers are restarted", () => restart("primary", "worker-deployment")],
]) {
  test(`${name}: no request fails, no result is lost`, { timeout: 180_000 }, async () => {
    const report = await requestsDuring(name, action);
    assert.equal(report.failed, 0);
    assert.equal(report.lost, 0);
  });
}

for (const [name, action] of [
  ["the watcher is restarted", () => restart("primary", "istiowatcher-deployment")],
  ["the watcher is deleted", () => deletePod("primary", "istiowatcher")],
]) {
  test(`${name}: the load stays where it is`, { timeout: 180_000 }, async () => {
    const report = await requestsDuring(name, action);
    assert.deepEqual([report.failed, report.lost, await weights()], [0, 0, "0 100"]);
  });
}

test("a watcher that was deleted brings the load home when it should, and sends it out again", { timeout: 180_000 }, async () => {
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 90);
  await visitor.requestRate(RATE);
  await visitor.receivesOnlyFrom("burst", 60);
});

test("two watchers run at once: one switch each way, no conflict", { timeout: 240_000 }, async () => {
  await kubectl("primary", "scale", WATCHER, "--replicas=2");
  await kubectl("primary", "rollout", "status", WATCHER, "--timeout=90s");
  const changes = spawn("kubectl", [
    "--context", "primary", "-n", "default", "get", "virtualservice", "worker-virtual-service", "-w",
    "-o", 'jsonpath={.spec.http[0].route[*].weight}{"\\n"}',
  ]);
  let printed = "";
  changes.stdout.on("data", (data) => { printed += data; });
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 120);
  await visitor.requestRate(RATE);
  await visitor.receivesOnlyFrom("burst", 120);
  await sleep(3000);
  changes.kill();
  const switches = printed.trim().split("\n").filter((line, index, lines) => line !== lines[index - 1]);
  assert.deepEqual(switches, ["0 100", "100 0", "0 100"]);
  await kubectl("primary", "scale", WATCHER, "--replicas=1");
});

test("two watchers with a Lease: one decides, and when it is killed, the other one does", { timeout: 240_000 }, async () => {
  const rule = { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] };
  const holder = () => kubectl("primary", "get", "lease", "istiowatcher", "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}");
  await kubectl("primary", "patch", "role", "istiowatcher", "--type=json", "--patch", JSON.stringify([{ op: "add", path: "/rules/-", value: rule }]));
  await kubectl("primary", "set", "env", WATCHER, "LEASE=istiowatcher");
  await kubectl("primary", "scale", WATCHER, "--replicas=2");
  await kubectl("primary", "rollout", "status", WATCHER, "--timeout=90s");
  await eventually("a watcher holds the Lease", async () => (await holder()) !== "", 30);
  assert.equal(await weights(), "0 100");
  const start = visitor.stats;
  const leader = await holder();
  await kubectl("primary", "delete", "pod", leader.replace(/-[0-9a-f]{8}$/, ""), "--grace-period=0", "--force");
  const seconds = await secondsOf(() => eventually("another watcher holds the Lease", async () => ![leader, ""].includes(await holder()), 30));
  console.log(`another watcher holds the Lease ${seconds.toFixed(1)} s after the leader was killed`);
  assert.ok(seconds <= 10, String(seconds));
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 90);
  await visitor.requestRate(RATE);
  await visitor.receivesOnlyFrom("burst", 60);
  assert.deepEqual([between(start, visitor.stats).failed, await weights()], [0, "0 100"]);
  await kubectl("primary", "set", "env", WATCHER, "LEASE-");
  await kubectl("primary", "scale", WATCHER, "--replicas=1");
  await kubectl("primary", "rollout", "status", WATCHER, "--timeout=90s");
});

for (const [name, action] of [
  ["Redis is deleted", () => deletePod("primary", "redis-cache")],
  ["Redis is restarted", () => restart("primary", "redis-cache")],
]) {
  test(`${name}: requests fail while Redis is away, and none after that`, { timeout: 180_000 }, async () => {
    const report = await requestsDuring(name, action);
    assert.ok(report.failed > 0, "Redis was away");
    assert.equal(report.lost, 0);
    const reportAfter = await requestsDuring(`after: ${name}`, () => {});
    assert.deepEqual([reportAfter.failed, reportAfter.lost], [0, 0]);
  });
}

test("burst, which failed with Redis, is tried again and has the load again", { timeout: 300_000 }, async () => {
  console.log(`burst has the load again after ${(await visitor.receivesOnlyFrom("burst", 280)).toFixed(1)} s`);
});

for (const [name, action] of [
  ["the frontend is deleted", () => deletePod("primary", "frontend")],
  ["the frontend is restarted", () => restart("primary", "frontend-deployment")],
]) {
  test(`${name}: visitors return by themselves, and the load when one requests it`, { timeout: 180_000 }, async () => {
    const seconds = await secondsOf(async () => {
      await action();
      await eventually("the client is connected to the new frontend", () => visitor.socket.connected && visitor.stats.freq === 0, 60);
    });
    console.log(`${name}: back after ${seconds.toFixed(1)} s`);
    await visitor.requestRate(RATE);
    const report = await requestsDuring(`after: ${name}`, () => {});
    assert.ok(report.answered > RATE * 5, String(report.answered));
    assert.deepEqual([report.failed, report.lost], [0, 0]);
  });
}
