// Measures what a visitor notices of a disturbance, and pauses processes on the clusters' nodes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

import { root } from "../environment.mjs";
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

/** Cuts burst off from primary (`cut`), or ends that (`mend`). */
export const lab = (command) => execFileSync("e2e/lab", [command], { cwd: root, stdio: "ignore" });

/** Runs a command on a cluster's node, and returns the words that it prints. */
const wordsFrom = (cluster, command) =>
  execFileSync("e2e/lab", ["in", cluster, "bash", "-c", command], { cwd: root, encoding: "utf8" }).split(/\s+/).filter(Boolean);

const paused = [];

/** Pauses a program on a cluster's node; with a pod's name, which is its HOSTNAME, only that pod's. */
export function pause(cluster, program, pod = "") {
  const find = `for p in $(pgrep -x ${program}); do ! grep -qz '^HOSTNAME=${pod}$' /proc/$p/environ || echo $p; done`;
  const processIds = wordsFrom(cluster, pod ? find : `pgrep -x ${program} || true`);
  assert.notEqual(processIds.length, 0, "nothing to pause");
  paused.push({ cluster, processIds });
  wordsFrom(cluster, `kill -STOP ${processIds.join(" ")}`);
}

/** Resumes everything that is paused. Some of it may have ended. */
export function resumeAll() {
  for (const { cluster, processIds } of paused.splice(0)) wordsFrom(cluster, `kill -CONT ${processIds.join(" ")} || true`);
}
