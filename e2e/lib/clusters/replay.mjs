// What `watcher replay` says the watcher should have done, beside what it did.

import assert from "node:assert/strict";

import { WATCHER, kubectlWithInput } from "./kubectl.mjs";
import { pageUrl } from "./visitor.mjs";
import { eventually } from "../waiting.mjs";

/** How far a switch of the replay may be from the watcher's own, in seconds. */
const MAX_DISTANCE = 3;

const burstOf = (text) => Number(text.split("/")[1]);

/** Runs `watcher replay` in the watcher's pod, and so by its settings; returns its switches. */
async function replay(input, ...args) {
  const command = ["exec", "-i", WATCHER, "-c", "istiowatcher", "--", "/watcher", "replay", ...args, "--decisions", "--output=json"];
  const switches = JSON.parse(await kubectlWithInput("primary", input, ...command));
  return switches.map(({ time, to }) => ({ at: time, burst: burstOf(to) }));
}

/** Replays what Prometheus knows of the load since a time, in milliseconds since 1970. */
export const replayPrometheus = (start) =>
  replay("", `--from=${new Date(start).toISOString()}`, "--signal=prometheus@5s", "--arrivals=even");

/** Replays what the frontend has sent since a time, second by second, as the callers show it. */
export async function replayCallers(start) {
  const [header, ...rows] = (await (await fetch(new URL("api/history.csv", pageUrl))).text()).trim().split("\n").map((row) => row.split(","));
  const [time, sent] = ["unix_time", "sent"].map((name) => header.indexOf(name));
  // A row has the time of its end.
  const trace = rows.map((row) => [Number(row[time]) - 1, row[sent]]).filter(([at]) => start / 1000 <= at);
  return replay(trace.map((row) => `${row.join(",")}\n`).join(""), "--trace=/dev/stdin", "--signal=callers");
}

/** Checks that a replay since `start` writes what the watcher wrote, and when. A visitor of the page knows its decisions. */
export async function checkReplay(visitor, start, replaySince) {
  const writes = visitor.watcher.status.decisions
    .filter(({ at, outcome }) => outcome === "written" && start / 1000 < at)
    .map(({ at, to }) => ({ at, burst: to.burst }))
    .toSorted((one, other) => one.at - other.at);
  assert.ok(writes.length >= 2, "the watcher has switched");
  let replayed = [];
  // Prometheus has the last requests at its next scrape.
  await eventually("the replay has as many switches as the watcher", async () => {
    replayed = await replaySince(start);
    return replayed.length >= writes.length;
  }, 20);
  assert.deepEqual(replayed.map(({ burst }) => burst), writes.map(({ burst }) => burst));
  const distances = writes.map(({ at }, index) => replayed[index].at - at);
  console.log(`the replay switches ${distances.map((distance) => distance.toFixed(1)).join(", ")} s after the watcher`);
  for (const distance of distances) assert.ok(Math.abs(distance) <= MAX_DISTANCE, `${distance} s`);
}
