// Brings the two clusters into the state that a test begins with, and back into the state that the manifests describe.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import { root } from "../environment.mjs";
import { eventually } from "../waiting.mjs";
import { CLUSTERS, WATCHER, applyText, kubectl, weights } from "./kubectl.mjs";

const WATCHER_MANIFEST = "k8s/istiowatcher.yaml";
const OVERRIDES = ["istiowatcher/pause-", "istiowatcher/pause-until-", "istiowatcher/force-", "istiowatcher/hold-home-", "istiowatcher/leader-"];
/** What the watcher itself remembers on the object. */
const EJECTED = "istiowatcher/ejected-";

/** Applies the three folders in the documented order, and returns what kubectl prints. */
export async function applyAll() {
  return [
    await kubectl("primary", "apply", "-f", "istio/"),
    await kubectl("primary", "apply", "-f", "k8s/"),
    await kubectl("burst", "apply", "-f", "k8s/burst/"),
  ].join("\n");
}

/** Deletes everything that the three folders describe. */
export async function deleteAll() {
  for (const context of CLUSTERS) await kubectl(context, "delete", "--ignore-not-found", "-f", "k8s/", "-f", "k8s/burst/");
  await kubectl("primary", "delete", "--ignore-not-found", "-f", "istio/");
}

/** Waits until every Deployment of both clusters is rolled out. */
export async function allRolledOut(seconds = 60) {
  await Promise.all(CLUSTERS.map(async (context) => {
    const names = (await kubectl(context, "get", "deployments", "-o", "name")).split("\n");
    for (const name of names) await kubectl(context, "rollout", "status", name, `--timeout=${seconds}s`);
  }));
}

/** Returns the watcher's manifest with further settings, such as "POLICY=spill". */
function watcherManifest(settings) {
  const manifest = readFileSync(path.join(root, WATCHER_MANIFEST), "utf8");
  if (settings.length === 0) return manifest;
  const documents = manifest.split(/^---\n/m);
  const index = documents.findIndex((document) => /^kind: Deployment$/m.test(document));
  const command = ["set", "env", "--local", "-f", "-", "-o", "yaml", ...settings];
  documents[index] = execFileSync("kubectl", command, { input: documents[index], encoding: "utf8" });
  return documents.join("---\n");
}

const annotate = (...changes) => kubectl("primary", "annotate", "virtualservice", "worker-virtual-service", ...changes);

/** Replaces the watcher by one that remembers nothing, with the manifest's settings and these. */
export async function freshWatcher(...settings) {
  // A watcher that still runs could write once more, and keeps the settings of another test.
  await kubectl("primary", "delete", "--ignore-not-found", "--cascade=foreground", WATCHER);
  await annotate(EJECTED);
  await applyText("primary", watcherManifest(settings));
  await kubectl("primary", "rollout", "status", WATCHER, "--timeout=90s");
}

/** Applies the manifests, replaces the watcher, and waits until all traffic is home but for what keeps burst warm. */
export async function freshClusters(...settings) {
  await applyAll();
  await freshWatcher(...settings);
  await allRolledOut(90);
  await eventually("all traffic is home", async () => /^(100 0|99 1)$/.test(await weights()), 90);
}

/** Leaves the clusters as the manifests describe them, for whoever uses them next. */
export async function restoreClusters() {
  await kubectl("primary", "delete", "--ignore-not-found", WATCHER);
  await applyAll();
  await annotate(...OVERRIDES, EJECTED);
}
