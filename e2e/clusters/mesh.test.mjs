// The manifests on two clusters and a mesh, as a user puts them there; then who may do what.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually, root, secondsOf } from "../support.mjs";
import { WATCHER, allRolledOut, applyAll, failed, kubectl, visitorsUntil, weights } from "./support.mjs";

const visit = visitorsUntil(after);
const strangers = "e2e/clusters/strangers.yaml";
const restartAll = (context) => kubectl(context, "rollout", "restart", "deployment");
const watcherIsReady = () =>
  kubectl("primary", "get", "pods", "-l", "app=istiowatcher", "-o", "jsonpath={.items[-1:].status.containerStatuses[0].ready}");

before(async () => {
  for (const context of ["primary", "burst"]) await kubectl(context, "delete", "--ignore-not-found", "-f", "k8s/", "-f", "k8s/burst/", "-f", strangers);
  await kubectl("primary", "delete", "--ignore-not-found", "-f", "istio/");
});

test("the three folders, as documented: every pod is ready within a minute", { timeout: 150_000 }, async () => {
  const seconds = await secondsOf(async () => {
    await applyAll();
    await allRolledOut(60);
  });
  console.log(`all pods ready after ${seconds.toFixed(1)} s`);
  assert.ok(seconds < 60, `${seconds} s`);
  for (const context of ["primary", "burst"]) {
    const proxies = await kubectl(context, "get", "pods", "-l", "app in (frontend, worker, redis-cache, istiowatcher)", "-o", 'jsonpath={range .items[*]}{.spec.initContainers[*].name} {.spec.containers[*].name}{"\\n"}{end}');
    for (const line of proxies.split("\n")) assert.match(line, /istio-proxy/);
  }
});

test("istioctl finds nothing to complain of", () => {
  // Not in the cluster: it would follow the remote secret to burst's address, which is known only inside the lab.
  const said = execFileSync("sh", ["-c", "istioctl analyze --use-kube=false istio/ k8s/ 2>&1"], { cwd: root, encoding: "utf8", timeout: 60_000 });
  assert.match(said, /No validation issues found/);
});

test("applied twice, nothing changes", async () => {
  await eventually("all is at home", async () => (await weights()) === "100 0");
  const generations = async () => (await Promise.all([
    kubectl("primary", "get", "-f", "istio/", "-f", "k8s/", "-o", "jsonpath={.items[*].metadata.generation}"),
    kubectl("burst", "get", "-f", "k8s/burst/", "-o", "jsonpath={.items[*].metadata.generation}"),
  ]));
  const before = await generations();
  const lines = (await applyAll()).split("\n");
  assert.ok(lines.length > 25, lines.join("\n"));
  // kubectl sends a budget's selector each time, and says "configured" of what it has not changed.
  const said = lines.filter((line) => !line.endsWith(" unchanged") && !line.startsWith("poddisruptionbudget."));
  assert.deepEqual(said, []);
  assert.deepEqual(await generations(), before);
});

test("in the wrong order it heals", { timeout: 150_000 }, async () => {
  await kubectl("primary", "delete", "-f", "istio/");
  await Promise.all([restartAll("primary"), restartAll("burst")]);
  await eventually("the watcher lacks its object", async () => (await watcherIsReady()) === "false");
  await kubectl("primary", "apply", "-f", "istio/");
  await allRolledOut(90);
  const visitor = await visit().connected();
  await visitor.ask(5);
  await visitor.comesTo(false, 30);
  await visitor.ask(0);
});

test("even weights, with the watcher stopped: half and half", { timeout: 120_000 }, async () => {
  await kubectl("primary", "scale", WATCHER, "--replicas=0");
  await kubectl("primary", "wait", "--for=delete", "pod", "-l", "app=istiowatcher", "--timeout=30s");
  await kubectl("primary", "apply", "-f", "istio/weights/even.yaml");
  const visitor = await visit().connected();
  const before = failed(visitor.stats);
  const results = () => visitor.stats.results.by_prefix;
  await eventually("the mesh knows the weights", async () => {
    await visitor.ask(50);
    await sleep(1000);
    return visitor.results.some((text) => text.startsWith("bursty-"));
  });
  await sleep(1000);
  const start = results();
  await visitor.ask(400);
  const since = (prefix) => (results()[prefix] ?? 0) - (start[prefix] ?? 0);
  await eventually("2,000 are answered", () => since("") + since("bursty-") >= 2000, 30);
  await visitor.ask(0);
  const share = since("bursty-") / (since("") + since("bursty-"));
  console.log(`even: ${(share * 100).toFixed(1)} % of ${since("") + since("bursty-")} in burst`);
  assert.ok(Math.abs(share - 0.5) < 0.05, String(share));
  assert.equal(failed(visitor.stats) - before, 0);
  await applyAll();
  await allRolledOut();
});

test("the watcher may do what it does, and nothing else that we tried", async () => {
  const may = async (...question) => {
    const args = ["auth", "can-i", ...question, "--as=system:serviceaccount:default:istiowatcher"];
    return kubectl("primary", ...args).catch((error) => error.stdout.trim());
  };
  const service = "virtualservices.networking.istio.io";
  for (const verb of ["get", "patch"]) assert.equal(await may(verb, `${service}/worker-virtual-service`), "yes", verb);
  for (const verb of ["create", "patch"]) assert.equal(await may(verb, "events.events.k8s.io"), "yes", verb);
  for (const verb of ["list", "watch", "create", "update", "delete"]) assert.equal(await may(verb, `${service}/worker-virtual-service`), "no", verb);
  for (const question of [
    ["patch", `${service}/frontend-ingress-virtual-service`], ["patch", `${service}/worker-virtual-service`, "-n", "istio-system"],
    ["get", "secrets"], ["list", "secrets"], ["get", "configmaps"], ["list", "pods"], ["create", "pods"], ["create", "pods/exec"], ["get", "nodes"],
    ["patch", "deployments.apps/worker-deployment"], ["patch", "destinationrules.networking.istio.io/worker-destination-rule"],
    ["delete", "events.events.k8s.io"], ["create", "leases.coordination.k8s.io"], ["impersonate", "serviceaccounts"],
    ["create", "rolebindings.rbac.authorization.k8s.io"], ["get", "events.events.k8s.io", "-n", "istio-system"], ["*", "*"],
  ]) {
    assert.equal(await may(...question), "no", question.join(" "));
  }
  for (const who of ["worker", "frontend", "redis"]) {
    const answer = await kubectl("primary", "auth", "can-i", "get", "pods", `--as=system:serviceaccount:default:${who}`).catch((error) => error.stdout.trim());
    assert.equal(answer, "no", who);
  }
});

test("only those who need it may speak to the worker and to Redis", { timeout: 120_000 }, async () => {
  for (const context of ["primary", "burst"]) {
    await kubectl(context, "apply", "-f", strangers);
    await kubectl(context, "wait", "--for=condition=Ready", "pod", "-l", "app=stranger", "--timeout=60s");
  }
  const call = (context, pod, ...command) =>
    kubectl(context, "exec", pod, "-c", "tools", "--", ...command).catch((error) => `${error.stdout}${error.stderr}`.trim());
  const post = ["curl", "-sS", "-m", "5", "-w", " %{http_code}", "-H", "content-type: application/json", "-d", '{"str": "x"}', "http://worker-service/"];
  const status = ["curl", "-sS", "-m", "5", "-w", " %{http_code}", "http://istiowatcher-service/status"];
  const publish = ["redis-cli", "-h", "redis-cache-service", "ping"];
  for (const context of ["primary", "burst"]) {
    // Without identity: neither sidecar nor certificate.
    assert.match(await call(context, "stranger-outside", ...post), /reset by peer|Empty reply/, context);
    // Outside the mesh burst has the name of Redis and nobody behind it.
    assert.match(await call(context, "stranger-outside", ...publish), context === "burst" ? /refused/i : /reset by peer|closed the connection/i, context);
    // Burst does not know the name.
    assert.match(await call(context, "stranger-outside", ...status), context === "burst" ? /Could not resolve/ : /reset by peer|Empty reply/, context);
    // With one that is not among those who may.
    assert.match(await call(context, "stranger-inside", ...post), /RBAC: access denied 403$/, context);
    assert.match(await call(context, "stranger-inside", ...publish), /reset by peer|closed the connection/i, context);
    if (context === "primary") assert.match(await call(context, "stranger-inside", ...status), /RBAC: access denied 403$/);
    // With the worker's own: Redis, through the mesh, from both clusters; but not the workers.
    assert.equal(await call(context, "stranger-as-worker", ...publish), "PONG", context);
    assert.match(await call(context, "stranger-as-worker", ...post), /RBAC: access denied 403$/, context);
    await kubectl(context, "delete", "--grace-period=1", "-f", strangers);
  }
});
