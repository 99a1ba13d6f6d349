// The manifests on two clusters and a mesh, applied as a user applies them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { CLUSTERS, WATCHER, kubectl, watcherLog, weights } from "../lib/clusters/kubectl.mjs";
import { allRolledOut, applyAll, deleteAll } from "../lib/clusters/manifests.mjs";
import { failed, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { root } from "../lib/environment.mjs";
import { BURST_PREFIX, clusterOf } from "../lib/results.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const newVisitor = visitorsUntil(after);
const restartAll = (context) => kubectl(context, "rollout", "restart", "deployment");
const watcherIsReady = () =>
  kubectl("primary", "get", "pods", "-l", "app=istiowatcher", "-o", "jsonpath={.items[-1:].status.containerStatuses[0].ready}");

before(deleteAll);
after(applyAll);

test("the three folders are applied as documented: every pod is ready within a minute", { timeout: 150_000 }, async () => {
  const seconds = await secondsOf(async () => {
    await applyAll();
    await allRolledOut(60);
  });
  console.log(`all pods ready after ${seconds.toFixed(1)} s`);
  assert.ok(seconds < 60, `${seconds} s`);
  for (const context of CLUSTERS) {
    const proxies = await kubectl(context, "get", "pods", "-l", "app in (frontend, worker, redis-cache, istiowatcher)", "-o", 'jsonpath={range .items[*]}{.spec.initContainers[*].name} {.spec.containers[*].name}{"\\n"}{end}');
    for (const line of proxies.split("\n")) assert.match(line, /istio-proxy/);
  }
});

test("istioctl finds no fault", () => {
  // In the cluster it would follow the remote secret to burst's address, which only the lab can reach.
  // The dashboard of k8s/controller is Grafana's JSON, and no object.
  const analyze = "istioctl analyze --use-kube=false $(find istio k8s -name '*.yaml') 2>&1";
  const printed = execFileSync("sh", ["-c", analyze], { cwd: root, encoding: "utf8", timeout: 60_000 });
  assert.match(printed, /No validation issues found/);
});

test("a second apply changes nothing", async () => {
  await eventually("all traffic is home", async () => (await weights()) === "100 0");
  const generations = async () => (await Promise.all([
    kubectl("primary", "get", "-f", "istio/", "-f", "k8s/", "-o", "jsonpath={.items[*].metadata.generation}"),
    kubectl("burst", "get", "-f", "k8s/burst/", "-o", "jsonpath={.items[*].metadata.generation}"),
  ]));
  const generationsBefore = await generations();
  const lines = (await applyAll()).split("\n");
  assert.ok(lines.length > 25, lines.join("\n"));
  // kubectl sends a budget's selector each time, and then prints "configured" although nothing changed.
  const changed = lines.filter((line) => !line.endsWith(" unchanged") && !line.startsWith("poddisruptionbudget."));
  assert.deepEqual(changed, []);
  assert.deepEqual(await generations(), generationsBefore);
});

test("the mesh part is applied last: everything heals", { timeout: 150_000 }, async () => {
  await kubectl("primary", "delete", "-f", "istio/");
  await Promise.all([restartAll("primary"), restartAll("burst")]);
  await eventually("the watcher is not ready without its VirtualService", async () =>
    (await watcherIsReady()) === "false" && /reading the VirtualService/.test(await watcherLog()), 40);
  await kubectl("primary", "apply", "-f", "istio/");
  await allRolledOut(90);
  const visitor = await newVisitor().connected();
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 30);
  await visitor.requestRate(0);
});

test("even weights, and no watcher: each cluster computes half of the results", { timeout: 120_000 }, async () => {
  await kubectl("primary", "scale", WATCHER, "--replicas=0");
  await kubectl("primary", "wait", "--for=delete", "pod", "-l", "app=istiowatcher", "--timeout=30s");
  await kubectl("primary", "apply", "-f", "istio/weights/even.yaml");
  const visitor = await newVisitor().connected();
  const failedBefore = failed(visitor.stats);
  const results = () => visitor.stats.results.by_prefix;
  await eventually("the mesh knows the weights", async () => {
    await visitor.requestRate(50);
    await sleep(1000);
    return visitor.results.some((result) => clusterOf(result) === "burst");
  });
  await sleep(1000);
  const start = results();
  await visitor.requestRate(400);
  const since = (prefix) => (results()[prefix] ?? 0) - (start[prefix] ?? 0);
  await eventually("2,000 are answered", () => since("") + since(BURST_PREFIX) >= 2000, 30);
  await visitor.requestRate(0);
  const share = since(BURST_PREFIX) / (since("") + since(BURST_PREFIX));
  console.log(`even: ${(share * 100).toFixed(1)} % of ${since("") + since(BURST_PREFIX)} in burst`);
  assert.ok(Math.abs(share - 0.5) < 0.05, String(share));
  assert.equal(failed(visitor.stats) - failedBefore, 0);
  await applyAll();
  await allRolledOut();
});
