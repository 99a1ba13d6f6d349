// Measures what the watcher costs: processor time and memory, at one observation a second and at ten.

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";
import { table, usage } from "./measure.mjs";

const PARTS = 5;

/** Starts a watcher on `local`'s fakes, with a load that makes it move the weights now and then. */
async function startWatcher(interval) {
  const stack = new Stack();
  const ports = {};
  for (const name of ["mesh", "prometheus", "kubernetes", "primary", "burst", "watcher"]) ports[name] = await freePort();
  stack.workers = [ports.primary, ports.burst].map((port) => createServer((_, response) => response.end("OK")).listen(port, "127.0.0.1"));
  await stack.fakes(ports);
  const process = stack.add(Process.ours("watcher", {
    PORT: String(ports.watcher),
    PROMETHEUS_URL: `http://127.0.0.1:${ports.prometheus}`,
    KUBECONFIG: stack.kubeconfig(ports.kubernetes),
    INTERVAL: interval,
  }));
  await eventually("the watcher listens", () => answers(`http://127.0.0.1:${ports.watcher}/`));
  const load = { perSecond: 5 };
  stack.timer = setInterval(() => {
    for (let request = 0; request < load.perSecond; request += 1) fetch(`http://127.0.0.1:${ports.mesh}/`).catch(() => {});
  }, 1000);
  return { stack, load, pid: process.child.pid };
}

/** Measures in parts. The first part warms up, and is not in the rows. */
async function measure(interval, seconds) {
  const { stack, load, pid } = await startWatcher(interval);
  const rows = [];
  for (let part = 0; part <= PARTS; part += 1) {
    load.perSecond = part % 2 ? 25 : 5;
    const before = usage(pid);
    await sleep((seconds * 1000) / PARTS);
    const after = usage(pid);
    if (part === 0) continue;
    const core = ((after.seconds - before.seconds) / (seconds / PARTS)) * 100;
    rows.push([`${interval}, part ${part} of ${PARTS}`, { "% of a core": core, "memory, MiB": after.mib, "most, MiB": after.mostMib }]);
  }
  clearInterval(stack.timer);
  for (const worker of stack.workers) worker.close();
  await stack.stop();
  return rows;
}

const seconds = Number(process.argv[2] ?? 300);
const rows = [];
for (const interval of ["1s", "100ms"]) rows.push(...await measure(interval, seconds));
table(`watcher, ${seconds} s`, ["% of a core", "memory, MiB", "most, MiB"], rows);
