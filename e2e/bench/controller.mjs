// Measures what the controller costs with many BurstPolicies, each at one look a second at Prometheus and at its route.

import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { binaries } from "../lib/environment.mjs";
import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";
import { median, table, usage } from "./measure.mjs";

const PARTS = 5;
/** Requests a second through the fake mesh, which all policies see. */
const LOAD = 10;

/** Starts the fakes with so many policies, and a controller. */
async function start(policies) {
  const stack = new Stack();
  const ports = {};
  for (const name of ["mesh", "prometheus", "kubernetes", "controller"]) ports[name] = await freePort();
  await stack.fakes(ports, "fakes", { FAKE_POLICIES: String(policies) });
  const post = () => fetch(`http://127.0.0.1:${ports.mesh}/`, { method: "POST", body: "{}" }).catch(() => {});
  stack.load = setInterval(post, 1000 / LOAD);
  const controller = stack.add(new Process("controller", path.join(binaries, "watcher"), ["controller"], {
    PORT: String(ports.controller),
    PROMETHEUS_URL: `http://127.0.0.1:${ports.prometheus}`,
    KUBECONFIG: stack.kubeconfig(ports.kubernetes),
  }));
  await eventually("the controller listens", () => answers(`http://127.0.0.1:${ports.controller}/`));
  const metrics = async () => (await fetch(`http://127.0.0.1:${ports.controller}/metrics`)).text();
  await eventually("all policies are at work", async () => (await metrics()).includes(`watcher_policies{state="at_work"} ${policies}`), 30);
  return { stack, pid: controller.child.pid, metrics };
}

/** Returns the bucket, in milliseconds, that 99 percent of all values of a histogram lie in. */
function p99(metrics, name) {
  const counts = new Map();
  for (const [, le, count] of metrics.matchAll(new RegExp(`^${name}_bucket\\{.*le="([^"]+)".*\\} (\\d+)$`, "gm"))) counts.set(le, (counts.get(le) ?? 0) + Number(count));
  const all = counts.get("+Inf");
  for (const [le, count] of counts) if (count >= 0.99 * all) return Number(le) * 1000;
  return Infinity;
}

const seconds = Number(process.argv[2] ?? 60);
const rows = [];
for (const policies of [1, 100, 500]) {
  const { stack, pid, metrics } = await start(policies);
  const cores = [];
  for (let part = 0; part <= PARTS; part += 1) {
    const before = usage(pid);
    await sleep((seconds * 1000) / PARTS);
    // The first part warms up.
    if (part > 0) cores.push(((usage(pid).seconds - before.seconds) / (seconds / PARTS)) * 100);
  }
  const text = await metrics();
  rows.push([`${policies} policies`, {
    "% of a core": median(cores), "least": Math.min(...cores), "most": Math.max(...cores), "memory, MiB": usage(pid).mib,
    "ticks late, p99 ≤ ms": p99(text, "watcher_tick_late_seconds"), "ticks, p99 ≤ ms": p99(text, "watcher_tick_seconds"), "metrics, KiB": text.length / 1024,
  }]);
  clearInterval(stack.load);
  await stack.stop();
}
table(`one look a second, medians of ${PARTS} parts of ${seconds / PARTS} s`, ["% of a core", "least", "most", "memory, MiB", "ticks late, p99 ≤ ms", "ticks, p99 ≤ ms", "metrics, KiB"], rows);
