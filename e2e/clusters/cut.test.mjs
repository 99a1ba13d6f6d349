// Burst is cut off: nothing that is sent there arrives, and nobody says so.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually, root, secondsOf } from "../support.mjs";
import { fresh, kindsOfFailure, kubectl, lost, visitorsUntil, watcherLog } from "./support.mjs";

const lab = (command) => execFileSync("e2e/lab", [command], { cwd: root, stdio: "ignore" });
const visit = visitorsUntil(after);
const caller = "e2e/clusters/caller.yaml";
let isCut = false;

before(async () => {
  await fresh();
  await kubectl("primary", "apply", "-f", caller);
});
after(async () => {
  if (isCut) lab("mend");
  await kubectl("primary", "delete", "--ignore-not-found", "--grace-period=1", "-f", caller);
  await kubectl("primary", "annotate", "virtualservice", "worker-virtual-service", "istiowatcher/pause-");
});

test("a request to it costs its caller two seconds", { timeout: 180_000 }, async () => {
  await kubectl("primary", "wait", "--for=condition=Ready", "pod/caller", "--timeout=60s");
  await kubectl("primary", "annotate", "--overwrite", "virtualservice", "worker-virtual-service", "istiowatcher/pause=true");
  await kubectl("primary", "apply", "-f", "istio/weights/burst.yaml");
  const post = async () => {
    const format = " %header{x-calculation} %{http_code} %{time_total}";
    const command = ["curl", "-sS", "-m", "20", "-w", format, "-H", "content-type: application/json", "-d", '{"str": "x"}', "http://worker-service/"];
    const [, calculation, code, seconds] = (await kubectl("primary", "exec", "caller", "-c", "tools", "--", ...command)).match(/ (\S*) (\d+) ([\d.]+)$/);
    return { isBurst: calculation.startsWith("bursty-"), code, seconds: Number(seconds) };
  };
  await eventually("burst answers", async () => (await post()).isBurst);
  lab("cut");
  isCut = true;
  const answers = [];
  for (let count = 0; count < 10; count += 1) answers.push(await post());
  console.log(`cut off: ${answers.map((it) => `${it.code} after ${it.seconds.toFixed(2)} s`).join(", ")}`);
  // Two seconds, and what a busy machine adds; without the timeouts it would be many more.
  assert.ok(answers.every((it) => it.seconds < 2.5 && it.code.startsWith("50")));
  lab("mend");
  isCut = false;
  await eventually("burst answers again", async () => (await post()).isBurst, 60);
  await kubectl("primary", "annotate", "virtualservice", "worker-virtual-service", "istiowatcher/pause-");
});

test("the watcher notices, and the load comes home; when burst is back, it is tried again", { timeout: 300_000 }, async () => {
  await fresh("BURST_REST=45s");
  const visitor = await visit().connected();
  await visitor.ask(20);
  await visitor.comesTo(true, 120);
  const start = visitor.stats;
  lab("cut");
  isCut = true;
  const seconds = await secondsOf(() => visitor.comesTo(false, 90));
  await sleep(7000);
  const { stats } = visitor;
  console.log(`cut off at 20/s: home after ${seconds.toFixed(1)} s; ${JSON.stringify(kindsOfFailure(stats, start))} failed`);
  assert.equal(stats.ledger.failed.timeout - start.ledger.failed.timeout, 0, "the mesh ended each, before the frontend would have");
  assert.ok(seconds <= 15, `home after ${seconds} s`);
  assert.equal(lost(stats) - lost(start), 0);
  lab("mend");
  isCut = false;
  await visitor.comesTo(true, 120);
  assert.match(await watcherLog(), /BurstFails.*BurstTried/s);
});
