// What happens when parts of the clusters fail, under twenty requests a second: docs/failures.md tells of it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually } from "../support.mjs";
import { allRolledOut, failed, fresh, kubectl, lost, visitorsUntil, weights } from "./support.mjs";

const RATE = 20;
const WATCHER = "deployment/istiowatcher-deployment";
const visit = visitorsUntil(after);
let visitor;

/** Restarts the watcher, which then remembers nothing, with settings that make a test short. */
async function freshWatcher(...settings) {
  await kubectl("primary", "set", "env", WATCHER, "BURST_REST=45s", ...settings);
  await kubectl("primary", "rollout", "restart", WATCHER);
  await kubectl("primary", "rollout", "status", WATCHER, "--timeout=90s");
}
async function inBurst() {
  await visitor.ask(RATE);
  await visitor.comesTo(true, 120);
}

before(async () => {
  await fresh("BURST_REST=45s");
  visitor = await visit().connected();
  await inBurst();
});
after(async () => {
  resume(...apiServer("primary"), ...apiServer("burst"), ...burstWorkers());
  await kubectl("burst", "delete", "--ignore-not-found", "-f", "e2e/clusters/broken-worker.yaml");
  for (const [context, deployment, replicas] of [["burst", "worker-deployment", 2], ["primary", "worker-deployment", 2], ["primary", "istiowatcher-deployment", 1]]) {
    await kubectl(context, "scale", `deployment/${deployment}`, `--replicas=${replicas}`);
  }
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/istiod", "deployment/prometheus", "--replicas=1");
  await kubectl("primary", "delete", WATCHER);
});

const shell = (command) => execFileSync("bash", ["-c", command], { encoding: "utf8" });
const apiServer = (cluster) => shell(`pgrep -f '^kube-apiserver.*${{ primary: "10.96", burst: "10.97" }[cluster]}' || true`).split("\n").filter(Boolean);
const burstWorkers = () => shell("for p in $(pgrep -x worker); do ! grep -qz '^PREFIX=bursty-' /proc/$p/environ || echo $p; done").split("\n").filter(Boolean);
const signal = (name) => (...processes) => processes.forEach((process) => shell(`kill -${name} ${process}`));
const resume = signal("CONT");
function pause(...processes) {
  assert.notEqual(processes.length, 0, "nothing to pause");
  signal("STOP")(...processes);
}

const reasons = async () => kubectl("primary", "logs", WATCHER, "-c", "istiowatcher", "--tail=-1");
/** The requests that have failed since, and the seconds from the first to the last of them. */
function failures() {
  const start = failed(visitor.stats);
  const from = lost(visitor.stats);
  let count = start;
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
    return { failed: count - start, lost: lost(visitor.stats) - from, seconds: (last - first) / 1000 };
  };
}
async function nothingHappens(what, seconds) {
  const end = failures();
  await sleep(seconds * 1000);
  const seen = end();
  console.log(`${what}: ${JSON.stringify(seen)}`);
  assert.deepEqual([seen.failed, seen.lost], [0, 0]);
}

test("Prometheus away for 20 s: the weights are held, and it is right again by itself", { timeout: 180_000 }, async () => {
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/prometheus", "--replicas=0");
  await nothingHappens("Prometheus away", 20);
  assert.equal(await weights(), "0 100");
  assert.match(await reasons(), /RateUnknown/);
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
    await eventually("it answers again", () => weights(), 30);
    assert.equal(await weights(), "0 100");
  });
}

test("both processors starved for 30 s: no wrong switch, and the ledger adds up", { timeout: 120_000 }, async () => {
  const before = await reasons();
  const busy = Array.from({ length: 4 }, () => spawn("bash", ["-c", "while :; do :; done"]));
  const end = failures();
  await sleep(30_000);
  busy.forEach((process) => process.kill("SIGKILL"));
  await sleep(7000);
  const seen = end();
  console.log(`starved: ${JSON.stringify(seen)}, ${visitor.stats.ledger.missed} missed`);
  assert.equal(await weights(), "0 100");
  assert.equal((await reasons()).split("weights written").length, before.split("weights written").length);
  const { planned, sent, missed, shed, answered, in_flight: inFlight } = visitor.stats.ledger;
  assert.deepEqual([planned, sent], [sent + missed + shed, answered + failed(visitor.stats) + inFlight]);
  assert.equal(seen.lost, 0);
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

test("istiod away as the traffic should come home: it goes on, and moves when istiod is back", { timeout: 300_000 }, async () => {
  await freshWatcher();
  await inBurst();
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/istiod", "--replicas=0");
  await kubectl("primary", "-n", "istio-system", "wait", "--for=delete", "pod", "-l", "app=istiod", "--timeout=60s");
  await visitor.ask(5);
  await nothingHappens("istiod away", 60);
  assert.equal(await weights(), "0 100", "the patch is refused");
  const refusals = (await reasons()).split("\n").filter((line) => /WARN|ERROR/.test(line) && /webhook/.test(line));
  assert.equal(refusals.length, 1, refusals.join("\n"));
  await kubectl("primary", "-n", "istio-system", "scale", "deployment/istiod", "--replicas=1");
  await kubectl("primary", "-n", "istio-system", "rollout", "status", "deployment/istiod", "--timeout=90s");
  const start = Date.now();
  await eventually("the weights are home", async () => (await weights()) === "100 0", 10);
  console.log(`istiod back: weights home after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  await visitor.comesTo(false, 20);
});

/** Something that makes burst fail, and what must hold then. */
async function burstFails(what, breaks, mends) {
  await freshWatcher();
  await inBurst();
  const end = failures();
  await breaks();
  await visitor.comesTo(false, 60);
  await sleep(5000);
  const seen = end();
  console.log(`${what}: ${JSON.stringify(seen)}`);
  assert.equal(await weights(), "100 0");
  assert.ok(seen.failed > 0);
  assert.ok(seen.seconds <= 15, `failed for ${seen.seconds} s`);
  assert.equal(seen.lost, 0);
  assert.match(await reasons(), /BurstFails/);
  await mends();
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
  assert.match(await reasons(), /BurstTried/);
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

test("primary has no workers, FAILOVER=true: burst has the load", { timeout: 300_000 }, async () => {
  await visitor.ask(5);
  await freshWatcher("FAILOVER=true");
  await eventually("all is at home", async () => (await weights()) === "100 0", 90);
  await visitor.comesTo(false, 30);
  const end = failures();
  await kubectl("primary", "scale", "deployment/worker-deployment", "--replicas=0");
  await visitor.comesTo(true, 60);
  const seen = end();
  console.log(`primary without workers: ${JSON.stringify(seen)}`);
  assert.match(await reasons(), /PrimaryFails/);
});
