// Measures what a visitor notices of a disturbance, and pauses processes on the clusters' nodes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

import { root } from "../environment.mjs";
import { BURST_PREFIX } from "../results.mjs";
import { weights } from "./kubectl.mjs";
import { between, failed } from "./visitor.mjs";

/** The shortest EJECTION_TIME that the watcher accepts with its default queries: a trial comes as soon as it can. */
export const SHORT_EJECTION = "EJECTION_TIME=45s";

/** The seconds within which the watcher must have moved the traffic away from a cluster that fails. */
export const MOST_SECONDS_OF_FAILURES = 15;

/**
 * Begins to watch a visitor's failures. The function that it returns ends that, and returns the requests since, and the
 * seconds from the first to the last failure.
 */
export function watchFailures(visitor) {
  const start = visitor.stats;
  let count = failed(start);
  let [first, last] = [0, 0];
  const timer = setInterval(() => {
    const now = failed(visitor.stats);
    if (now > count) {
      first ||= Date.now();
      last = Date.now();
    }
    count = now;
  }, 100);
  timer.unref();
  return () => {
    clearInterval(timer);
    return { ...between(start, visitor.stats), seconds: (last - first) / 1000 };
  };
}

/**
 * Breaks burst under load, checks that all traffic comes home and stays there for some `seconds`, mends burst, and checks
 * that requests failed for no longer than `most` seconds.
 */
export async function checkComesHome(visitor, description, { breakBurst, mendBurst, seconds, most }) {
  const end = watchFailures(visitor);
  try {
    await breakBurst();
    await visitor.receivesOnlyFrom("primary", 60);
    await sleep(seconds * 1000);
    assert.equal(await weights(), "100 0");
  } finally {
    await mendBurst();
  }
  const report = end();
  console.log(`${description}: ${JSON.stringify(report)}`);
  assert.ok(report.failed > 0);
  assert.ok(report.seconds <= most, `failed for ${report.seconds} s`);
  assert.equal(report.lost, 0);
}

/** Waits, and checks that meanwhile the load goes on, no request fails, and no result is lost. */
export async function nothingFails(visitor, description, seconds) {
  const end = watchFailures(visitor);
  await sleep(seconds * 1000);
  const report = end();
  console.log(`${description}: ${JSON.stringify(report)}`);
  assert.ok(report.answered > seconds * 3, "the load goes on");
  assert.deepEqual([report.failed, report.lost], [0, 0]);
}

const shell = (command) => execFileSync("bash", ["-c", command], { encoding: "utf8" });
const lines = (text) => text.split("\n").filter(Boolean);

/** The first two numbers of each cluster's service addresses (e2e/lab.d/settings.sh). */
const SERVICE_NETWORK = { primary: "10.96", burst: "10.97" };

/** Returns the process ids of a cluster's API server. */
export const apiServer = (cluster) => lines(shell(`pgrep -f '^kube-apiserver.*${SERVICE_NETWORK[cluster]}' || true`));

/** Returns the process ids of burst's workers. */
export const burstWorkers = () =>
  lines(shell(`for p in $(pgrep -x worker); do ! grep -qz '^PREFIX=${BURST_PREFIX}' /proc/$p/environ || echo $p; done`));

/** Returns the process ids of the program in a pod, which has the pod's name as its HOSTNAME. */
export const processesOf = (program, pod) =>
  lines(shell(`for p in $(pgrep -x ${program}); do ! grep -qz '^HOSTNAME=${pod}$' /proc/$p/environ || echo $p; done`));

export function pause(...processIds) {
  assert.notEqual(processIds.length, 0, "nothing to pause");
  processIds.forEach((id) => shell(`kill -STOP ${id}`));
}

/** Resumes processes. Some of them may have ended. */
export const resume = (...processIds) => processIds.forEach((id) => shell(`kill -CONT ${id} || true`));

/** Cuts burst off from primary (`cut`), or ends that (`mend`). */
export const lab = (command) => execFileSync("e2e/lab", [command], { cwd: root, stdio: "ignore" });
