// What happens when parts of the clusters fail, under twenty requests a second: docs/failures.md tells of it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually, root } from "../support.mjs";
import { WATCHER, allRolledOut, between, failed, fresh, freshWatcher, kubectl, visitorsUntil, watcherLog, weights } from "./support.mjs";

const RATE = 20;
const SHORT_REST = "BURST_REST=45s";
const visit = visitorsUntil(after);
let visitor;
let wrongClock;

async function inBurst() {
  await visitor.ask(RATE);
  await visitor.comesTo(true, 120);
}

before(async () => {
  await fresh(SHORT_REST);
  visitor = await visit().connected();
  await inBurst();
});
after(async () => {
  wrongClock?.stdin.end();
  resume(...apiServer("primary"), ...apiServer("burst"), ...burstWorkers());
  await kubectl("burst", "delete", "--ignore-not-found", "-f", "e2e/clusters/broken-worker.yaml");
  for (const context of ["primary", "burst"]) await kubectl(context, "scale", "deployment/worker-deployment", "--replicas=2");
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/istiod", "deployment/prometheus", "--replicas=1");
});

const shell = (command) => execFileSync("bash", ["-c", command], { encoding: "utf8" });
const apiServer = (cluster) => shell(`pgrep -f '^kube-apiserver.*${{ primary: "10.96", burst: "10.97" }[cluster]}' || true`).split("\n").filter(Boolean);
const burstWorkers = () => shell("for p in $(pgrep -x worker); do ! grep -qz '^PREFIX=bursty-' /proc/$p/environ || echo $p; done").split("\n").filter(Boolean);
// Some may have ended.
const resume = (...processes) => processes.forEach((process) => shell(`kill -CONT ${process} || true`));
function pause(...processes) {
  assert.notEqual(processes.length, 0, "nothing to pause");
  processes.forEach((process) => shell(`kill -STOP ${process}`));
}

/** What has become of the requests since, and the seconds from the first to the last that failed. */
function failures() {
  const start = visitor.stats;
  let count = failed(start);
  let [first, last] = [0, 0];
  const timer = setInterval(() => {
    const now = failed(visitor.stats);
    if (now > count) {
      first ||= Date.now();
      last = Date.now();
    }
    count = now;
  }, 100);
  timer.unref();
  return () => {
    clearInterval(timer);
    return { ...between(start, visitor.stats), seconds: (last - first) / 1000 };
  };
}
async function nothingHappens(what, seconds) {
  const end = failures();
  await sleep(seconds * 1000);
  const seen = end();
  console.log(`${what}: ${JSON.stringify(seen)}`);
  assert.ok(seen.answered > seconds * 3, "the load goes on");
  assert.deepEqual([seen.failed, seen.lost], [0, 0]);
}

test("Prometheus away for 20 s: the weights are held, and it is right again by itself", { timeout: 180_000 }, async () => {
  const before = await watcherLog();
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/prometheus", "--replicas=0");
  await nothingHappens("Prometheus away", 20);
  assert.equal(await weights(), "0 100");
  assert.match((await watcherLog()).slice(before.length), /RateUnknown/);
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/prometheus", "--replicas=1");
  await kubectl("primary", "-n", "istio-system", "rollout", "status", "deployment/prometheus", "--timeout=60s");
  await nothingHappens("Prometheus back, with nothing that it had", 20);
  assert.equal(await weights(), "0 100");
});

for (const cluster of ["primary", "burst"]) {
  test(`${cluster}'s API server away for 15 s: traffic goes on`, { timeout: 120_000 }, async () => {
    pause(...apiServer(cluster));
    try {
      await nothingHappens(`${cluster}'s API server away`, 15);
    } finally {
      resume(...apiServer(cluster));
    }
    await eventually("it answers again", () => kubectl(cluster, "get", "nodes"), 30);
    assert.equal(await weights(), "0 100");
  });
}

test("both processors starved for a minute: no wrong switch, and the ledger adds up", { timeout: 120_000 }, async () => {
  const before = await watcherLog();
  const busy = Array.from({ length: 4 }, () => spawn("timeout", ["70", "bash", "-c", "while :; do :; done"]));
  const end = failures();
  await sleep(60_000);
  busy.forEach((process) => process.kill());
  await sleep(7000);
  const seen = end();
  console.log(`starved: ${JSON.stringify(seen)}, ${visitor.stats.ledger.missed} missed`);
  assert.equal(await weights(), "0 100");
  assert.equal((await watcherLog()).split("weights written").length, before.split("weights written").length);
  const { planned, sent, missed, shed, answered, in_flight: inFlight } = visitor.stats.ledger;
  assert.deepEqual([planned, sent], [sent + missed + shed, answered + failed(visitor.stats) + inFlight]);
  assert.equal(seen.lost, 0);
  assert.ok(seen.answered > 60 * RATE * 0.8, `${seen.answered} answered`);
});

test("two watchers at once: one switch each way, no fight", { timeout: 240_000 }, async () => {
  await kubectl("primary", "scale", WATCHER, "--replicas=2");
  await kubectl("primary", "rollout", "status", WATCHER, "--timeout=90s");
  const watch = spawn("kubectl", ["--context", "primary", "-n", "default", "get", "virtualservice", "worker-virtual-service", "-w", "-o", 'jsonpath={.spec.http[0].route[*].weight}{"\\n"}']);
  let said = "";
  watch.stdout.on("data", (data) => { said += data; });
  await visitor.ask(5);
  await visitor.comesTo(false, 120);
  await inBurst();
  await sleep(3000);
  watch.kill();
  const switches = said.trim().split("\n").filter((line, index, lines) => line !== lines[index - 1]);
  assert.deepEqual(switches, ["0 100", "100 0", "0 100"]);
  await kubectl("primary", "scale", WATCHER, "--replicas=1");
});

test("a Prometheus whose clock goes wrong: the weights are held, and it is right again by itself", { timeout: 180_000 }, async () => {
  const { clusterIP } = JSON.parse(await kubectl("primary", "-n", "istio-system", "get", "service", "prometheus", "-o", "json")).spec;
  wrongClock = spawn("e2e/lab", ["in", "primary", "node", path.join(root, "e2e/clusters/wrong-clock.mjs"), `http://${clusterIP}:9090`], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const [address] = await once(wrongClock.stdout, "data");
  const node = await kubectl("primary", "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}");
  await freshWatcher(SHORT_REST, `PROMETHEUS_URL=http://${node}:${String(address).trim()}`);
  await inBurst();
  await nothingHappens("the clock is right", 5);
  wrongClock.stdin.write("120\n");
  await visitor.ask(5);
  await nothingHappens("the clock is two minutes ahead", 45);
  assert.equal(await weights(), "0 100");
  const said = (await watcherLog()).split("\n").filter((line) => /wrong_clock/.test(line) && /WARN/.test(line));
  // Once, and again after a look that was late: not at each of some fifty.
  assert.ok(said.length >= 1 && said.length <= 3, said.join("\n"));
  wrongClock.stdin.write("0\n");
  await visitor.comesTo(false, 90);
  assert.equal(await weights(), "100 0");
});

test("primary has no workers, FAILOVER=true: burst has the load, and primary again when it has workers", { timeout: 300_000 }, async () => {
  await freshWatcher(SHORT_REST, "FAILOVER=true");
  await visitor.ask(5);
  await visitor.comesTo(false, 90);
  const end = failures();
  await kubectl("primary", "scale", "deployment/worker-deployment", "--replicas=0");
  await visitor.comesTo(true, 60);
  const seen = end();
  console.log(`primary without workers: ${JSON.stringify(seen)}`);
  assert.match(await watcherLog(), /PrimaryFails/);
  assert.ok(seen.seconds <= 15, `failed for ${seen.seconds} s`);
  await kubectl("primary", "scale", "deployment/worker-deployment", "--replicas=2");
  await allRolledOut(90);
  await visitor.comesTo(false, 180);
  assert.match(await watcherLog(), /PrimaryTried/);
});

test("istiod away as the traffic should come home: it goes on, and moves when istiod is back", { timeout: 300_000 }, async () => {
  await freshWatcher(SHORT_REST);
  await inBurst();
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/istiod", "--replicas=0");
  await kubectl("primary", "-n", "istio-system", "wait", "--for=delete", "pod", "-l", "app=istiod", "--timeout=60s");
  await visitor.ask(5);
  await nothingHappens("istiod away", 60);
  assert.equal(await weights(), "0 100", "the patch is refused");
  const refusals = (await watcherLog()).split("\n").filter((line) => /WARN|ERROR/.test(line) && /webhook/.test(line));
  assert.equal(refusals.length, 1, refusals.join("\n"));
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/istiod", "--replicas=1");
  await kubectl("primary", "-n", "istio-system", "rollout", "status", "deployment/istiod", "--timeout=90s");
  const start = Date.now();
  await eventually("the weights are home", async () => (await weights()) === "100 0", 10);
  console.log(`istiod back: weights home after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  // Proxies look for istiod again after up to half a minute.
  await visitor.comesTo(false, 60);
});

/** Something that makes burst fail, and what must hold then. */
async function burstFails(what, breaks, mends) {
  await freshWatcher(SHORT_REST);
  await inBurst();
  const end = failures();
  try {
    await breaks();
    await visitor.comesTo(false, 60);
    await sleep(5000);
    assert.equal(await weights(), "100 0");
  } finally {
    await mends();
  }
  const seen = end();
  console.log(`${what}: ${JSON.stringify(seen)}`);
  assert.ok(seen.failed > 0);
  assert.ok(seen.seconds <= 15, `failed for ${seen.seconds} s`);
  assert.equal(seen.lost, 0);
  assert.match(await watcherLog(), /BurstFails/);
}

test("burst answers 500: home within 15 s, and tried again gently", { timeout: 400_000 }, async () => {
  await burstFails("burst answers 500", async () => {
    await kubectl("burst", "apply", "-f", "e2e/clusters/broken-worker.yaml");
    await kubectl("burst", "rollout", "status", "deployment/broken-worker", "--timeout=60s");
    await kubectl("burst", "scale", "deployment/worker-deployment", "--replicas=0");
  }, async () => {
    await kubectl("burst", "scale", "deployment/worker-deployment", "--replicas=2");
    await kubectl("burst", "delete", "-f", "e2e/clusters/broken-worker.yaml");
  });
  await visitor.comesTo(true, 180);
  assert.match(await watcherLog(), /BurstTried/);
});

test("burst hangs: home within 15 s", { timeout: 300_000 }, async () => {
  await burstFails("burst hangs", () => pause(...burstWorkers()), () => resume(...burstWorkers()));
});

test("burst is scaled to 0: home, with a reason", { timeout: 300_000 }, async () => {
  await burstFails("burst scaled to 0", () => kubectl("burst", "scale", "deployment/worker-deployment", "--replicas=0"), async () => {
    await kubectl("burst", "scale", "deployment/worker-deployment", "--replicas=2");
    await allRolledOut(90);
  });
});
