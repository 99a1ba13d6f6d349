// The controller: BurstPolicies at a real API server, several routes at once, two replicas, and what may go wrong.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { nothingFails, pause, resumeAll } from "../lib/clusters/disturbance.mjs";
import { httpRoute, httpRouteWeights, installGatewayApi, removeGatewayApi } from "../lib/clusters/gateway-api.mjs";
import { WATCHER, applyText, kubectl, kubectlFails, kustomize, weights } from "../lib/clusters/kubectl.mjs";
import { freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { LAB_PROXIES } from "../lib/clusters/proxies.mjs";
import { failed, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const CONTROLLER = "deployment/istiowatcher-controller";
const SYSTEM = "--namespace=istiowatcher-system";
const LOW = 5;
const HIGH = 20;
const newVisitor = visitorsUntil(after);
let visitor;

const setting = (name) => LAB_PROXIES.find((line) => line.startsWith(`${name}=`)).slice(name.length + 1);
const list = (name) => JSON.stringify(setting(name).split(","));
const SERIES = 'istio_requests_total{reporter="source",source_workload="frontend-deployment",destination_service="worker-service.default.svc.cluster.local"}';

/** The signal of the frontend's requests, as the lab's proxies or its Prometheus show them. */
const CALLERS = `{source: Callers, series: '${SERIES}', callersURL: '${setting("CALLERS_URL")}',
    callersSeries: '${setting("CALLERS_SERIES")}', clusterLabels: ${list("CLUSTER_LABEL")}, primaryClusters: ${list("PRIMARY_CLUSTER")}, burstClusters: ${list("BURST_CLUSTER")}}`;
const PROMETHEUS = `{series: '${SERIES}'}`;

const WORKSHOP = "  threshold: {burstAbove: 15, homeBelow: 10}";
const policy = (name, { route = "{name: worker-virtual-service}", signal = PROMETHEUS, rule = WORKSHOP, more = "" } = {}) => `
apiVersion: burst.istiowatcher.dev/v1alpha1
kind: BurstPolicy
metadata: {name: ${name}, namespace: default}
spec:
  route: ${route}
  signal: ${signal}
${rule}
${more}
`;

/** A route beside the frontend's, which leads to the same workers. */
const COPY = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: copy, namespace: default}
spec:
  hosts: [copy.example]
  http:
  - route:
    - {destination: {host: worker-service.default.svc.cluster.local, subset: primary}, weight: 100}
    - {destination: {host: worker-service.default.svc.cluster.local, subset: burst}, weight: 0}
`;
const copyWeights = () => kubectl("primary", "get", "virtualservice", "copy", "-o", "jsonpath={.spec.http[0].route[*].weight}");

const field = (name, path) => kubectl("primary", "get", "burstpolicy", name, "-o", `jsonpath={${path}}`);
const ready = (name) => field(name, '.status.conditions[?(@.type=="Ready")].status');
const refused = (name) => field(name, '.status.conditions[?(@.type=="Ready")].reason');
const leader = async () => (await kubectl("primary", "get", SYSTEM, "lease", "istiowatcher", "-o", "jsonpath={.spec.holderIdentity}")).replace(/-[0-9a-f]{8}$/, "");
const generation = () => kubectl("primary", "get", "virtualservice", "worker-virtual-service", "-o", "jsonpath={.metadata.generation}");
const rolledOut = () => kubectl("primary", "rollout", SYSTEM, "status", CONTROLLER, "--timeout=90s");

before(async () => {
  await freshClusters();
  await installGatewayApi();
  await kustomize("primary", "apply", "k8s/controller");
  await kubectl("primary", "wait", "--for=condition=Established", "crd/burstpolicies.burst.istiowatcher.dev", "--timeout=30s");
  await rolledOut();
  visitor = await newVisitor().connected();
});
after(async () => {
  await kubectl("primary", "delete", "--ignore-not-found", "burstpolicies", "--all").catch(() => {});
  await kustomize("primary", "delete", "k8s/controller", "--ignore-not-found");
  await kubectl("primary", "delete", "--ignore-not-found", "virtualservice", "copy");
  await removeGatewayApi();
  await restoreClusters();
});

test("the API server refuses what no policy may say, with the name of the field and what is accepted", async () => {
  for (const [spec, ...parts] of [
    [{ signal: "{}" }, "series: it is missing"],
    [{ signal: "{series: a, source: Callers}" }, "signal.callersURL: it is missing"],
    [{ signal: "{query: a, source: Callers, callersURL: 'http://a/'}" }, "signal.callersSeries: it is missing"],
    [{ signal: "{series: a, source: callers}" }, 'supported values: "Prometheus", "Callers"'],
    [{ signal: "{series: a, primaryClusters: [a b]}" }, "primaryClusters[0]", "accepted: 1 to 253 printable"],
    [{ signal: "{series: a, callersURL: https://a}" }, "callersURL", "accepted: http://name:port/path"],
    [{ route: "{}" }, "spec.route.name: Required value"],
    [{ route: "{name: A}" }, "spec.route.name", "accepted: the name of an object"],
    [{ route: "{name: a, primaryDestination: x, burstDestination: x}" }, "accepted: another name than primaryDestination"],
    [{ more: "  interval: 1 day" }, "spec.interval", "accepted: 100ms to 1h"],
    [{ more: "  interval: 2h" }, "spec.interval", "accepted: 100ms to 1h"],
    [{ rule: "  threshold: {burstAbove: 5, homeBelow: 7}" }, "homeBelow: accepted: up to burstAbove"],
    [{ rule: "  threshold: {burstAbove: 5}" }, "threshold.burstAbove, threshold.homeBelow: one is missing"],
    [{ rule: "  policy: Spill" }, "capacity.requestsPerSecond: it is missing"],
    [{ more: "  capacity: {query: a}" }, "capacity.requestsPerSecond: it is missing; with capacity.query"],
    [{ more: "  spill: {headroom: 2}" }, "spec.spill.headroom", "less than or equal to 1"],
    [{ more: "  spill: {probe: 20, max: 10}" }, "probe: accepted: up to max"],
    [{ more: "  capacity: {service: a, query: b}" }, "both are given"],
    [{ more: "  burst: {readyURL: 'ftp://a'}" }, "spec.burst.readyURL", "accepted: http:// or https:// with a host"],
    [{ more: "  burst: {readyURL: 'http://a', readyQuery: b}" }, "readyQuery, readyURL: both are given"],
    [{ more: "  burst: {step: 0}" }, "spec.burst.step", "greater than or equal to 1"],
    [{ more: "  polici: Spill" }, 'unknown field "spec.polici"'],
  ]) {
    const answer = await applyText("primary", policy("refused", spec)).then(() => "accepted", (error) => error.stderr);
    for (const part of parts) assert.ok(answer.includes(part), `${JSON.stringify(spec)}: ${part}: ${answer}`);
  }
  assert.match(await kubectl("primary", "explain", "burstpolicy.spec.guards.fallbackAfter"), /How long an unknown rate holds/);
});

test("in mid-burst a policy takes over from the watcher of one route, as documented: no reversal", { timeout: 180_000 }, async () => {
  await visitor.requestRate(HIGH);
  await eventually("the watcher bursts", async () => (await weights()) === "0 100", 60);
  const start = visitor.stats;
  const version = await generation();
  await applyText("primary", policy("by-callers", { signal: CALLERS, more: "  dryRun: true" }));
  await eventually("the policy agrees", async () => (await ready("by-callers")) === "True" && (await field("by-callers", ".status.rate")) !== "", 60);
  assert.equal(await field("by-callers", ".status.state"), "Burst");
  await kubectl("primary", "delete", "--cascade=foreground", WATCHER);
  await kubectl("primary", "patch", "burstpolicy", "by-callers", "--type=merge", "-p", '{"spec": {"dryRun": false}}');
  await eventually("the policy is followed", async () => (await field("by-callers", ".status.observedGeneration")) === "2", 30);
  assert.equal(await weights(), "0 100");
  assert.equal(await generation(), version, "nobody wrote the weights");
  await visitor.requestRate(LOW);
  await eventually("the policy brings the traffic home", async () => (await weights()) === "100 0", 60);
  assert.equal(failed(visitor.stats) - failed(start), 0);
});

test("three policies of three kinds burst at 20/s and come home at 5/s", { timeout: 300_000 }, async () => {
  await applyText("primary", `${COPY}---${httpRoute("worker-primary")}`);
  const http = "{kind: HTTPRoute, name: worker, primaryDestination: worker-primary, burstDestination: worker-burst}";
  await applyText("primary", [policy("by-callers", { signal: CALLERS }), policy("by-prometheus", { route: "{name: copy}" }), policy("by-http-route", { route: http })].join("---"));
  const names = ["by-callers", "by-prometheus", "by-http-route"];
  // The status may still be that of another test's policy.
  const isPresent = async (name) => (await field(name, ".status.observedGeneration")) === (await field(name, ".metadata.generation"));
  for (const name of names) {
    await eventually(`${name} is ready and knows the rate`, async () =>
      (await isPresent(name)) && (await ready(name)) === "True" && (await field(name, ".status.rate")) !== "", 90);
  }
  const start = visitor.stats;
  const states = { "by-callers": weights, "by-prometheus": copyWeights, "by-http-route": httpRouteWeights };
  for (const [rate, expected] of [[HIGH, "0 100"], [LOW, "100 0"]]) {
    await visitor.requestRate(rate);
    const begin = Date.now();
    const times = await Promise.all(names.map(async (name) => {
      await eventually(`${name}: ${expected}`, async () => (await states[name]()) === expected, 90);
      return `${name} ${((Date.now() - begin) / 1000).toFixed(1)} s`;
    }));
    console.log(`${rate}/s: ${times.join(", ")}`);
  }
  await eventually("the status says so", async () => (await field("by-callers", ".status.state")) === "Home", 15);
  console.log(await kubectl("primary", "get", "burstpolicies"));
  console.log(await kubectl("primary", "describe", "burstpolicy", "by-callers"));
  assert.match(await field("by-callers", ".status.decisions[*].message"), /home/);
  assert.equal(failed(visitor.stats) - failed(start), 0);
});

test("two policies for one route, one without a route, and an edit in mid-burst: each says so, and the weights stay right", { timeout: 180_000 }, async () => {
  await applyText("primary", policy("second"));
  await applyText("primary", policy("lost", { route: "{name: nobody}" }));
  await eventually("the second is refused", async () => (await refused("second")) === "Conflict", 15);
  await eventually("the lost one says why", async () => (await refused("lost")) === "RouteUnusable", 15);
  await visitor.requestRate(HIGH);
  await eventually("the first bursts all the same", async () => (await weights()) === "0 100", 60);
  await applyText("primary", policy("by-callers", { signal: CALLERS, rule: "  policy: Spill\n  capacity: {requestsPerSecond: 15}\n  spill: {stabilizationWindow: 10s}" }));
  const start = visitor.stats;
  await eventually("spill brings home what primary can carry", async () => /^[1-9]\d [1-9]\d$/.test(await weights()), 90);
  assert.equal(failed(visitor.stats) - failed(start), 0);
  await applyText("primary", policy("by-callers", { signal: CALLERS }));
  await eventually("threshold bursts again", async () => (await weights()) === "0 100", 60);
  await kubectl("primary", "delete", "burstpolicy", "second", "lost");
});

test("the leader's pod is deleted by force in mid-burst: the other decides, no request fails", { timeout: 180_000 }, async () => {
  assert.equal(await weights(), "0 100");
  const [start, killed] = [visitor.stats, await leader()];
  const deleted = Date.now();
  await kubectl("primary", "delete", SYSTEM, "pod", killed, "--force", "--grace-period=0");
  await visitor.requestRate(LOW);
  await eventually("another one leads", async () => { const now = await leader(); return now !== "" && now !== killed; }, 20);
  console.log(`the next leader decides after ${((Date.now() - deleted) / 1000).toFixed(1)} s`);
  await eventually("traffic comes home", async () => (await weights()) === "100 0", 60);
  assert.equal(failed(visitor.stats) - failed(start), 0);
  await rolledOut();
});

test("the leader is paused for 30 s in mid-burst: the other decides, and whoever wakes up writes nothing", { timeout: 180_000 }, async () => {
  await visitor.requestRate(HIGH);
  await eventually("it bursts", async () => (await weights()) === "0 100", 60);
  const [start, paused] = [visitor.stats, await leader()];
  pause("primary", "watcher", paused);
  const since = Date.now();
  try {
    await visitor.requestRate(LOW);
    await eventually("another one leads", async () => ![paused, ""].includes(await leader()), 20);
    console.log(`another one leads after ${((Date.now() - since) / 1000).toFixed(1)} s`);
    await eventually("traffic comes home", async () => (await weights()) === "100 0", 30);
    await sleep(30_000 - (Date.now() - since));
  } finally {
    resumeAll();
  }
  const version = await generation();
  await sleep(8000);
  assert.deepEqual([await generation(), await weights()], [version, "100 0"]);
  assert.equal(failed(visitor.stats) - failed(start), 0);
  await rolledOut();
});

test("the API server is away for 60 s, and the load falls meanwhile: traffic comes home when it is back", { timeout: 240_000 }, async () => {
  await visitor.requestRate(HIGH);
  await eventually("it bursts", async () => (await weights()) === "0 100", 60);
  pause("primary", "kube-apiserver");
  try {
    await nothingFails(visitor, "the API server away at 20/s", 20);
    await visitor.requestRate(LOW);
    await nothingFails(visitor, "the API server away at 5/s", 40);
  } finally {
    resumeAll();
  }
  await eventually("it answers again", () => kubectl("primary", "get", "nodes"), 30);
  const seconds = await secondsOf(() => eventually("traffic comes home", async () => (await weights()) === "100 0", 30));
  console.log(`traffic is home ${seconds.toFixed(1)} s after the API server is back`);
  assert.ok(seconds <= 10, String(seconds));
  await eventually("the status says so", async () => (await field("by-callers", ".status.state")) === "Home", 30);
});

test("the definition is deleted and applied again: the weights stay, and then the policy goes on", { timeout: 180_000 }, async () => {
  await visitor.requestRate(HIGH);
  await eventually("it bursts", async () => (await weights()) === "0 100", 60);
  await kubectl("primary", "delete", "crd", "burstpolicies.burst.istiowatcher.dev");
  assert.match(await kubectlFails("primary", "get", "burstpolicies"), /NotFound|doesn't have a resource type/);
  assert.equal(await weights(), "0 100");
  await kustomize("primary", "apply", "k8s/controller");
  await kubectl("primary", "wait", "--for=condition=Established", "crd/burstpolicies.burst.istiowatcher.dev", "--timeout=30s");
  await applyText("primary", policy("by-callers", { signal: CALLERS }));
  await visitor.requestRate(LOW);
  await eventually("traffic comes home", async () => (await weights()) === "100 0", 60);
});

test("explain in the controller's pod explains a policy, in the names of its fields", { timeout: 60_000 }, async () => {
  const text = await kubectl("primary", "exec", SYSTEM, CONTROLLER, "--", "/watcher", "explain", "--burst-policy", "default/by-callers");
  assert.match(text, /What it sees\n {2}The callers at http:/);
  assert.match(text, /threshold\.burstAbove/);
  assert.doesNotMatch(text, /BURST_ABOVE/);
});

test("a capacity by endpoints follows the number of primary's workers", { timeout: 180_000 }, async () => {
  const rule = "  policy: Spill\n  capacity: {service: worker-service, requestsPerSecond: 10}";
  await applyText("primary", policy("by-callers", { signal: CALLERS, rule }));
  const replicas = Number(await kubectl("primary", "get", "deployment", "worker-deployment", "-o", "jsonpath={.spec.replicas}"));
  const capacity = (count, seconds) => eventually(`the capacity is that of ${count} workers`, async () => (await field("by-callers", ".status.capacity")) === `${count * 10}.0/s`, seconds);
  await capacity(replicas, 30);
  await kubectl("primary", "scale", "deployment/worker-deployment", `--replicas=${replicas + 1}`);
  await capacity(replicas + 1, 90);
  await kubectl("primary", "scale", "deployment/worker-deployment", `--replicas=${replicas}`);
  await capacity(replicas, 60);
});
