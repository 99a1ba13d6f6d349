// What `watcher replay` says the watcher should have done, beside what it did.

import assert from "node:assert/strict";

import { eventually } from "../waiting.mjs";
import { WATCHER, kubectlWithInput } from "./kubectl.mjs";
import { pageUrl } from "./visitor.mjs";

/** How far a switch of the replay may be from the watcher's own, in seconds. */
const MAX_DISTANCE = 3;

const burstOf = (text) => Number(text.split("/")[1]);

/** What the frontend has sent since a time in milliseconds since 1970, second by second, as a trace. */
async function recordedLoad(start) {
  const [header, ...rows] = (await (await fetch(new URL("api/history.csv", pageUrl))).text()).trim().split("\n").map((row) => row.split(","));
  const [time, sent] = ["unix_time", "sent"].map((name) => header.indexOf(name));
  // A row has the time of its end.
  const trace = rows.map((row) => [Number(row[time]) - 1, row[sent]]).filter(([at]) => start / 1000 <= at);
  return trace.map((row) => `${row.join(",")}\n`).join("");
}

/**
 * Replays the load since `start` in the watcher's pod, and so by its settings; checks that it writes what the watcher wrote,
 * and when. A visitor of the page knows the watcher's decisions.
 */
export async function checkReplay(visitor, start) {
  // An answer that came late is shown as none.
  await eventually("the watcher's status is known", () => visitor.watcher.state === "known");
  const writes = visitor.watcher.status.decisions
    .filter(({ at, outcome }) => outcome === "written" && start / 1000 < at)
    .map(({ at, to }) => ({ at, burst: to.burst }))
    .toSorted((one, other) => one.at - other.at);
  assert.ok(writes.length >= 2, "the watcher has switched");
  const replay = ["exec", "-i", WATCHER, "-c", "istiowatcher", "--", "/watcher", "replay", "--trace=/dev/stdin", "--signal=callers", "--decisions", "--output=json"];
  const replayed = JSON.parse(await kubectlWithInput("primary", await recordedLoad(start), ...replay));
  assert.deepEqual(replayed.map(({ to }) => burstOf(to)), writes.map(({ burst }) => burst));
  const distances = writes.map(({ at }, index) => replayed[index].time - at);
  console.log(`the replay switches ${distances.map((distance) => distance.toFixed(1)).join(", ")} s after the watcher`);
  for (const distance of distances) assert.ok(Math.abs(distance) <= MAX_DISTANCE, `${distance} s`);
}
