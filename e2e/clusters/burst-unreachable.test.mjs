// Burst is cut off: nothing that is sent there arrives, and nothing says so.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { MOST_SECONDS_OF_FAILURES, SHORT_EJECTION, lab } from "../lib/clusters/disturbance.mjs";
import { kubectl, watcherLog } from "../lib/clusters/kubectl.mjs";
import { freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { between, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { clusterOf } from "../lib/results.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const caller = "e2e/clusters/caller.yaml";
const newVisitor = visitorsUntil(after);
let isCut = false;

function cut() {
  lab("cut");
  isCut = true;
}
function mend() {
  lab("mend");
  isCut = false;
}

before(async () => {
  await freshClusters();
  await kubectl("primary", "apply", "-f", caller);
});
after(async () => {
  if (isCut) mend();
  await kubectl("primary", "delete", "--ignore-not-found", "--grace-period=1", "-f", caller);
  await restoreClusters();
});

test("a request to burst costs its caller two seconds", { timeout: 180_000 }, async () => {
  await kubectl("primary", "wait", "--for=condition=Ready", "pod/caller", "--timeout=60s");
  await kubectl("primary", "annotate", "--overwrite", "virtualservice", "worker-virtual-service", "istiowatcher/pause=true");
  await kubectl("primary", "apply", "-f", "istio/weights/burst.yaml");
  const post = async () => {
    const format = " %header{x-calculation} %{http_code} %{time_total}";
    const command = ["curl", "-sS", "-m", "20", "-w", format, "-H", "content-type: application/json", "-d", '{"str": "x"}', "http://worker-service/"];
    const printed = await kubectl("primary", "exec", "caller", "-c", "tools", "--", ...command);
    const [, calculation, code, seconds] = printed.match(/ (\S*) (\d+) ([\d.]+)$/);
    return { cluster: clusterOf(calculation), code, seconds: Number(seconds) };
  };
  await eventually("burst answers", async () => (await post()).cluster === "burst");
  cut();
  const answers = [];
  for (let count = 0; count < 10; count += 1) answers.push(await post());
  console.log(`cut off: ${answers.map(({ code, seconds }) => `${code} after ${seconds.toFixed(2)} s`).join(", ")}`);
  // Two seconds, and what a busy machine adds; without the timeouts it would be many more.
  assert.ok(answers.every(({ seconds, code }) => seconds < 2.5 && code.startsWith("50")));
  mend();
  await eventually("burst answers again", async () => (await post()).cluster === "burst", 60);
  await kubectl("primary", "annotate", "virtualservice", "worker-virtual-service", "istiowatcher/pause-");
});

test("the load comes home, and when burst is back, the watcher tries it again", { timeout: 300_000 }, async () => {
  await freshClusters(SHORT_EJECTION);
  const visitor = await newVisitor().connected();
  await visitor.requestRate(20);
  await visitor.receivesOnlyFrom("burst", 120);
  const start = visitor.stats;
  cut();
  const seconds = await secondsOf(() => visitor.receivesOnlyFrom("primary", 90));
  await sleep(7000);
  const { stats } = visitor;
  const report = between(start, stats);
  console.log(`cut off at 20/s: home after ${seconds.toFixed(1)} s; ${JSON.stringify(report.kinds)} failed`);
  assert.equal(stats.ledger.failed.timeout - start.ledger.failed.timeout, 0, "the mesh ended each request before the frontend would have");
  assert.ok(seconds <= MOST_SECONDS_OF_FAILURES, `home after ${seconds} s`);
  assert.equal(report.lost, 0);
  mend();
  await visitor.receivesOnlyFrom("burst", 120);
  assert.match(await watcherLog(), /ClusterUnhealthy.*ClusterOnTrial/s);
});
