// Primary's workers fail, and FAILOVER=true: burst takes the load until primary works again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { MOST_SECONDS_OF_FAILURES, SHORT_EJECTION, watchFailures } from "../lib/clusters/disturbance.mjs";
import { kubectl, watcherLog } from "../lib/clusters/kubectl.mjs";
import { allRolledOut, freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { visitorsUntil } from "../lib/clusters/visitor.mjs";

const newVisitor = visitorsUntil(after);
let visitor;

const scalePrimary = (replicas) => kubectl("primary", "scale", "deployment/worker-deployment", `--replicas=${replicas}`);

before(async () => {
  await freshClusters(SHORT_EJECTION, "FAILOVER=true");
  visitor = await newVisitor().connected();
});
after(async () => {
  await scalePrimary(2);
  await restoreClusters();
});

test("primary has no workers: burst takes the load, and primary has it again when it has workers", { timeout: 300_000 }, async () => {
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 90);
  const end = watchFailures(visitor);
  await scalePrimary(0);
  await visitor.receivesOnlyFrom("burst", 60);
  const report = end();
  console.log(`primary without workers: ${JSON.stringify(report)}`);
  assert.match(await watcherLog(), /ClusterUnhealthy/);
  assert.ok(report.seconds <= MOST_SECONDS_OF_FAILURES, `failed for ${report.seconds} s`);
  await scalePrimary(2);
  await allRolledOut(90);
  await visitor.receivesOnlyFrom("primary", 180);
  assert.match(await watcherLog(), /ClusterOnTrial/);
});
