// The watcher with a real Prometheus that scrapes real counters.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { LEFT_OUT, Process, answers, binaries, eventually, freePort, stacks } from "../support.mjs";

const skip = LEFT_OUT.has("prometheus") ? "prometheus is left out" : false;
const newStack = stacks(after);
const LABELS = 'reporter="source",source_workload="frontend-deployment",source_workload_namespace="default"';
const SERVICE = 'destination_service="worker-service.default.svc.cluster.local"';
const SELECTOR = `istio_requests_total{${LABELS},${SERVICE}}`;

/** In the place of the frontend's sidecar: counts requests at a rate, by cluster and response code. */
class Sidecar {
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
  QUERY: `sum(rate(${SELECTOR}[10s]))`,
  CLUSTERS_QUERY: `sum by (destination_cluster, response_code) (rate(${SELECTOR}[10s]))`,
  BURST_REST: "20s",
});
const status = async () => (await fetch(`http://127.0.0.1:${ports.watcher}/status`)).json();
const reaches = (state, seconds = 40) => eventually(`the traffic is ${state}`, async () => (await status()).state === state, seconds);
const moves = () => watcher.output.split("\n").filter((line) => line.includes("weights written")).length;
const explain = (env = {}, code = 0) => {
  const { status, stdout } = spawnSync(path.join(binaries, "watcher"), ["explain"], { encoding: "utf8", env: { ...settings(), ...env } });
  assert.equal(status, code, stdout);
  return stdout;
};

before(async () => {
  if (skip) return;
  stack = newStack();
  sidecar = new Sidecar();
  await sidecar.listen();
  ports = {};
  for (const name of ["prometheus", "kubernetes", "watcher"]) ports[name] = await freePort();
  stack.add(Process.ours("local", {
    FAR_SIDE_ONLY: "true", KUBERNETES_PORT: String(ports.kubernetes), WORKER_PRIMARY_PORT: "1", WORKER_BURST_PORT: "1",
  }, {}, "watcher-local"));
  prometheus = await stack.prometheus(ports.prometheus, `127.0.0.1:${sidecar.port}`);
  watcher = stack.add(Process.ours("watcher", settings(), {}, "watcher-alone"));
  await eventually("the watcher listens", () => answers(`http://127.0.0.1:${ports.watcher}/`));
});
after(() => sidecar?.stop());

test("a real rate bursts, and its query is found to be fine", { skip }, async () => {
  sidecar.rates = { "primary 200": 20 };
  await reaches("burst");
  sidecar.rates = { "burst 200": 20 };
  await eventually("the query is checked", async () => (await status()).query_check.startsWith("QUERY is fine: its 10s hold 10 samples"), 60);
  const seen = await eventually("all is from burst", async () => {
    const { seen } = await status();
    return seen.by_cluster?.[1] > 18 && seen;
  });
  assert.ok(seen.sample_age >= 0 && seen.sample_age < 2, JSON.stringify(seen));
});

test("explain says in sentences what it sees and would do, and writes nothing", { skip }, async () => {
  const text = explain();
  for (const part of ["requests per second; the newest sample is", "primary 0, burst 100", "Now: traffic is where", "Less than 10/s (HOME_BELOW)"]) {
    assert.ok(text.includes(part), `${text} does not say ${part}`);
  }
  assert.match(explain({ BURST_ABOVE: "100", HOME_BELOW: "100" }), /After \d+ s like this: all home: .* It writes primary 100, burst 0\./);
  assert.match(explain({ QUERY: `sum(rate(${SELECTOR}[1s]))` }), /needs two samples, and its range of 1s holds fewer/);
  const destination = SELECTOR.replace('"source"', '"destination"');
  assert.match(explain({ QUERY: `sum(rate(${destination}[10s]))` }), /goes blind once the traffic has left primary/);
  assert.match(explain({ QUERY: `sum(rate(${SELECTOR.replace("frontend-deployment", "fronted")}[10s]))` }), /none with these labels/);
  assert.match(explain({ PROMETHEUS_URL: "http://127.0.0.1:1" }, 1), /the rate is not known: prometheus cannot be reached/);
  assert.match(explain({ VIRTUAL_SERVICE: "other" }, 1), /The VirtualService cannot be read: .*not found/);
  assert.equal((await status()).state, "burst");
});

test("nothing moves while scraping stops, while Prometheus hangs, nor when it comes back with nothing", { skip, timeout: 180_000 }, async () => {
  const before = moves();
  const becomes = (kind) => eventually(`the rate is unknown: ${kind}`, async () => (await status()).seen.unknown === kind, 30);
  const isKnown = () => eventually("the rate is known", async () => (await status()).seen.rate > 15, 60);

  sidecar.isBroken = true;
  await becomes("stale");
  await sleep(15_000);
  sidecar.isBroken = false;
  await isKnown();

  prometheus.signal("SIGSTOP");
  await becomes("timeout");
  prometheus.signal("SIGCONT");
  await isKnown();

  await prometheus.stop();
  await becomes("unreachable");
  execFileSync("rm", ["-rf", path.join(stack.directory, "tsdb")]);
  prometheus = await stack.prometheus(ports.prometheus, `127.0.0.1:${sidecar.port}`);
  await isKnown();
  await sleep(12_000);
  assert.equal(moves(), before, watcher.output);
  assert.equal((await status()).state, "burst");
});

test("a burst that fails sends the traffic home, and is tried again gently", { skip, timeout: 180_000 }, async () => {
  sidecar.rates = { "burst 200": 10, "burst 503": 8, "unknown 0": 2 };
  await reaches("home", 20);
  sidecar.rates = { "primary 200": 20 };
  const { decisions } = await status();
  assert.ok(decisions.some(({ reason }) => reason === "BurstFails"), JSON.stringify(decisions));
  await reaches("split", 40);
  sidecar.rates = { "primary 200": 18, "burst 200": 2 };
  await reaches("burst", 60);
});

test("a load that ends brings the traffic home", { skip, timeout: 120_000 }, async () => {
  sidecar.rates = { "burst 200": 3 };
  await reaches("home", 60);
  assert.match(watcher.output, /weights written: all home: \d+\.\d\/s, below 10\/s for 10 s/);
});
