// kubectl, and what the tests read with it.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { root } from "../environment.mjs";

const execute = promisify(execFile);

/** The contexts of the two clusters. */
export const CLUSTERS = ["primary", "burst"];

export const WATCHER = "deployment/istiowatcher-deployment";

/** Runs kubectl in the context `primary` or `burst`, and returns what it prints. */
export async function kubectl(context, ...args) {
  const command = ["--context", context, "--namespace", "default", ...args];
  const { stdout } = await execute("kubectl", command, { cwd: root, maxBuffer: 1 << 26, timeout: 180_000 });
  return stdout.trim();
}

/** Applies or deletes what a folder's kustomization describes, whose objects name their namespaces. */
export const kustomize = (context, command, folder, ...args) =>
  execute("kubectl", ["--context", context, command, "-k", folder, ...args], { cwd: root, timeout: 180_000 });

/** Runs kubectl with a standard input, and returns what it prints. */
export async function kubectlWithInput(context, input, ...args) {
  const running = execute("kubectl", ["--context", context, "--namespace", "default", ...args], { maxBuffer: 1 << 26, timeout: 60_000 });
  running.child.stdin.end(input);
  return (await running).stdout.trim();
}

/** Applies a manifest that is no file. */
export const applyText = (context, manifest) => kubectlWithInput(context, manifest, "apply", "-f", "-");

/** Runs kubectl, expects that it fails, and returns its error text. */
export async function kubectlFails(context, ...args) {
  const { printed, error } = await kubectl(context, ...args).then((text) => ({ printed: text }), (failure) => ({ error: failure }));
  if (!error) throw new Error(`kubectl ${args.join(" ")} did not fail: ${printed}`);
  return error.stderr;
}

/** Returns the weights in force, as "100 0": primary, then burst. */
export const weights = () =>
  kubectl("primary", "get", "virtualservice", "worker-virtual-service", "-o", "jsonpath={.spec.http[0].route[*].weight}");

/** Returns the watcher's log since its start. */
export const watcherLog = () => kubectl("primary", "logs", WATCHER, "-c", "istiowatcher", "--tail=-1");

/** Returns the name of the first running pod of an app. */
export const firstPod = (context, app) =>
  kubectl(context, "get", "pods", "-l", `app=${app}`, "--field-selector=status.phase=Running", "-o", "jsonpath={.items[0].metadata.name}");
