// The watcher with a real Prometheus that scrapes real counters.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { LEFT_OUT, binaries } from "../lib/environment.mjs";
import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { stacksUntil } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";

const skip = LEFT_OUT.has("prometheus") ? "prometheus is left out" : false;
const newStack = stacksUntil(after);
const LABELS = 'reporter="source",source_workload="frontend-deployment",source_workload_namespace="default"';
const SERVICE = 'destination_service="worker-service.default.svc.cluster.local"';
const SELECTOR = `istio_requests_total{${LABELS},${SERVICE}}`;

/** Fakes the frontend's sidecar: it counts requests at a rate, by cluster and response code. */
class FakeSidecar {
  counts = new Map();
  rates = {};
  isBroken = false;

  async listen() {
    this.port = await freePort();
    this.server = createServer((_, response) => {
      if (this.isBroken) return response.writeHead(500).end();
      const lines = [...this.counts].map(([key, count]) => {
        const [cluster, code] = key.split(" ");
        return `istio_requests_total{${LABELS},${SERVICE},destination_cluster="${cluster}",response_code="${code}"} ${Math.floor(count)}\n`;
      });
      response.writeHead(200, { "content-type": "text/plain" }).end(`# TYPE istio_requests_total counter\n${lines.join("")}`);
    }).listen(this.port, "127.0.0.1");
    let last = Date.now();
    this.timer = setInterval(() => {
      const seconds = (Date.now() - last) / 1000;
      last = Date.now();
      for (const [key, rate] of Object.entries(this.rates)) this.counts.set(key, (this.counts.get(key) ?? 0) + rate * seconds);
    }, 50);
  }

  stop() {
    clearInterval(this.timer);
    this.server.closeAllConnections();
    this.server.close();
  }
}

let stack, sidecar, ports, prometheus, watcher;

const settings = () => ({
  PORT: String(ports.watcher),
  PROMETHEUS_URL: `http://127.0.0.1:${ports.prometheus}`,
  KUBECONFIG: stack.kubeconfig(ports.kubernetes),
  SERIES: SELECTOR,
  EJECTION_TIME: "20s",
});
const status = async () => (await fetch(`http://127.0.0.1:${ports.watcher}/status`)).json();
const trafficIs = (state, seconds = 40) => eventually(`the state of the traffic is ${state}`, async () => (await status()).state === state, seconds);
const countMoves = () => watcher.output.split("\n").filter((line) => line.includes("weights written")).length;
const explain = (env = {}, code = 0) => {
  const { status: exitCode, stdout } = spawnSync(path.join(binaries, "watcher"), ["explain"], { encoding: "utf8", env: { ...settings(), ...env } });
  assert.equal(exitCode, code, stdout);
  return stdout;
};

before(async () => {
  if (skip) return;
  stack = newStack();
  sidecar = new FakeSidecar();
  await sidecar.listen();
  ports = {};
  for (const name of ["prometheus", "kubernetes", "watcher"]) ports[name] = await freePort();
  await stack.fakes({ kubernetes: ports.kubernetes }, "watcher-fakes");
  prometheus = await stack.prometheus(ports.prometheus, `127.0.0.1:${sidecar.port}`);
  watcher = stack.add(Process.ours("watcher", settings(), {}, "watcher-alone"));
  await eventually("the watcher listens", () => answers(`http://127.0.0.1:${ports.watcher}/`));
});
after(() => sidecar?.stop());

test("a high rate in a real Prometheus bursts, and the watcher finds its query fine", { skip }, async () => {
  sidecar.rates = { "primary 200": 20 };
  await trafficIs("burst");
  sidecar.rates = { "burst 200": 20 };
  await eventually("the watcher has checked the query", async () => (await status()).query_check.startsWith("SERIES is fine: ") , 60);
  const observed = await eventually("all traffic goes to burst", async () => {
    const { observed: last } = await status();
    return last.rate_by_cluster?.[1] > 18 && last;
  });
  assert.ok(observed.sample_age >= 0 && observed.sample_age < 2, JSON.stringify(observed));
});

test("explain prints what the watcher sees and would do, and writes nothing", { skip }, async () => {
  const text = explain();
  for (const part of ["/s ± ", "a sample every 1.0 s, the newest", "primary 0, burst 100", "Now: no change needed at", "Less than 10/s (HOME_BELOW), proven"]) {
    assert.ok(text.includes(part), `${text} does not say ${part}`);
  }
  assert.match(explain({ BURST_ABOVE: "100", HOME_BELOW: "100" }), /Now: all traffic home: .* is below 100\/s\. It writes primary 100, burst 0\./);
  assert.match(explain({ QUERY: `sum(rate(${SELECTOR}[1s]))` }), /needs two samples, and its range of 1s holds fewer/);
  const destination = SELECTOR.replace('"source"', '"destination"');
  assert.match(explain({ SERIES: destination }), /does not see traffic that has left primary/);
  assert.match(explain({ SERIES: SELECTOR.replace("frontend-deployment", "fronted") }), /none with these labels/);
  assert.match(explain({ PROMETHEUS_URL: "http://127.0.0.1:1" }, 1), /the rate is unknown: Prometheus cannot be reached/);
  assert.match(explain({ ROUTE: "other" }, 1), /The watcher cannot read the VirtualService: .*not found/);
  assert.equal((await status()).state, "burst");
});

test("the traffic stays while scrapes fail, while Prometheus hangs, and when it returns without samples", { skip, timeout: 180_000 }, async () => {
  const movesBefore = countMoves();
  const isUnknown = (kind) => eventually(`the rate is unknown: ${kind}`, async () => (await status()).observed.unknown === kind, 30);
  const isKnown = () => eventually("the rate is known", async () => (await status()).observed.rate > 15, 60);

  sidecar.isBroken = true;
  await isUnknown("stale");
  await sleep(15_000);
  sidecar.isBroken = false;
  await isKnown();

  prometheus.signal("SIGSTOP");
  await isUnknown("timeout");
  prometheus.signal("SIGCONT");
  await isKnown();

  await prometheus.stop();
  await isUnknown("unreachable");
  execFileSync("rm", ["-rf", path.join(stack.directory, "tsdb")]);
  prometheus = await stack.prometheus(ports.prometheus, `127.0.0.1:${sidecar.port}`);
  await isKnown();
  await sleep(12_000);
  assert.equal(countMoves(), movesBefore, watcher.output);
  assert.equal((await status()).state, "burst");
});

test("when burst fails, the traffic comes home, and the watcher tries burst again with a little of it", { skip, timeout: 180_000 }, async () => {
  sidecar.rates = { "burst 200": 10, "burst 503": 8, "unknown 0": 2 };
  await trafficIs("home", 20);
  sidecar.rates = { "primary 200": 20 };
  const { decisions } = await status();
  assert.ok(decisions.some(({ reason }) => reason === "ClusterUnhealthy"), JSON.stringify(decisions));
  await trafficIs("split", 40);
  sidecar.rates = { "primary 200": 18, "burst 200": 2 };
  await trafficIs("burst", 60);
});

test("a load that ends brings the traffic home", { skip, timeout: 120_000 }, async () => {
  sidecar.rates = { "burst 200": 3 };
  await trafficIs("home", 60);
  assert.match(watcher.output, /weights written: all traffic home: \d+\.\d\/s ± \d+\.\d over \d+ s is below 10\/s/);
});
