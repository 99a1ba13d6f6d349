// Two watchers as processes, which elect one by a Lease: the leader is paused, and wakes up.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { stacksUntil } from "../lib/stack.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const newStack = stacksUntil(after);
const load = { perSecond: 5 };
const watchers = [];
let ports;

before(async () => {
  const stack = newStack();
  ports = {};
  for (const name of ["mesh", "prometheus", "kubernetes", "primary", "burst"]) ports[name] = await freePort();
  const workers = [ports.primary, ports.burst].map((port) => createServer((_, response) => response.end("OK")).listen(port, "127.0.0.1"));
  await stack.fakes(ports, "lease-fakes");
  const timer = setInterval(() => {
    for (let request = 0; request < load.perSecond / 5; request += 1) fetch(`http://127.0.0.1:${ports.mesh}/`).then((response) => response.text()).catch(() => {});
  }, 200);
  stack.add({ stop: () => { clearInterval(timer); workers.forEach((worker) => worker.close()); } });
  for (const name of ["watcher-a", "watcher-b"]) {
    const port = await freePort();
    const process = stack.add(Process.ours("watcher", {
      PORT: String(port),
      PROMETHEUS_URL: `http://127.0.0.1:${ports.prometheus}`,
      KUBECONFIG: stack.kubeconfig(ports.kubernetes),
      LEASE: "istiowatcher",
    }, {}, name));
    watchers.push({ port, process });
    await eventually(`${name} listens`, () => answers(`http://127.0.0.1:${port}/`));
    await eventually(`${name} knows who decides`, async () => {
      const { reason } = await (await fetch(`http://127.0.0.1:${port}/status`)).json();
      return reason !== "" && (reason === "Standby") === (watchers.length === 2);
    });
  }
});

/** Returns the value of a series of a watcher's metrics; 0 if there is none. */
async function metric(port, series) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(2000) })).text();
  return Number(text.split("\n").find((line) => line.startsWith(`${series} `))?.slice(series.length + 1) ?? 0);
}

const writes = (watcher) => metric(watcher.port, 'watcher_writes_total{result="ok"}');

async function weights() {
  const path = "/apis/networking.istio.io/v1/namespaces/default/virtualservices/worker-virtual-service";
  const { spec } = await (await fetch(`http://127.0.0.1:${ports.kubernetes}${path}`)).json();
  return spec.http[0].route.map((route) => route.weight ?? 0).join(" ");
}

test("a leader that is paused is replaced, and writes nothing when it wakes up", { timeout: 180_000 }, async () => {
  const [first, second] = watchers;
  load.perSecond = 25;
  await eventually("the traffic has burst", async () => (await weights()) === "0 100", 40);
  await eventually("the first knows that it has written", async () => (await writes(first)) === 1);
  assert.equal(await writes(second), 0);

  first.process.signal("SIGSTOP");
  const seconds = await secondsOf(() => eventually("the second decides", async () => (await metric(second.port, "watcher_leader")) === 1, 15));
  console.log(`the second watcher decides ${seconds.toFixed(1)} s after the first was paused`);
  load.perSecond = 5;
  await eventually("the traffic is home", async () => (await weights()) === "100 0", 40);

  first.process.signal("SIGCONT");
  await sleep(5000);
  assert.equal(await metric(first.port, "watcher_leader"), 0, "the first one stands by");
  assert.deepEqual([await writes(first), await writes(second), await weights()], [1, 1, "100 0"]);
});

test("SIGTERM gives the Lease away at once", { timeout: 60_000 }, async () => {
  const [first, second] = watchers;
  second.process.signal("SIGTERM");
  const seconds = await secondsOf(() => eventually("the first decides", async () => (await metric(first.port, "watcher_leader")) === 1, 10));
  console.log(`the first watcher decides ${seconds.toFixed(1)} s after SIGTERM`);
  assert.ok(seconds < 4, String(seconds));
});
