// Measures the load; `scripts/bench` builds what it needs.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { freePort, root } from "./support.mjs";

const binary = (name) => path.join(root, "target", "release", name);
const runs = Number(process.argv[2] ?? 5);

/** Ticks of processor time that a process has used, in seconds, and its memory in MiB. */
function usage(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return { seconds: (Number(stat[11]) + Number(stat[12])) / 100, mib: Number(status.match(/VmHWM:\s+(\d+)/)[1]) / 1024 };
}

async function measure({ rate, seconds, sink = [], freezeAt }) {
  const port = await freePort();
  const sinkProcess = spawn(binary("sink"), ["--port", port, "--rate", rate, ...sink], { stdio: ["ignore", "pipe", "ignore"] });
  await sleep(300);
  const load = spawn(
    binary("load"),
    ["--url", `http://127.0.0.1:${port}`, "--rate", rate, "--for", `${seconds}s`, "--json"],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  const text = { load: "", sink: "" };
  load.stdout.on("data", (data) => { text.load += data; });
  sinkProcess.stdout.on("data", (data) => { text.sink += data; });
  const ended = once(load, "close");
  if (freezeAt) {
    await sleep(freezeAt * 1000);
    load.kill("SIGSTOP");
    await sleep(1000);
    load.kill("SIGCONT");
  }
  let used;
  const watch = setInterval(() => {
    try {
      used = usage(load.pid);
    } catch {
      // It has ended.
    }
  }, 100);
  await ended;
  clearInterval(watch);
  sinkProcess.kill("SIGINT");
  await once(sinkProcess, "close");
  const [outcome, arrivals] = [JSON.parse(text.load), JSON.parse(text.sink)];
  const { ledger, latencies_ms: latencies } = outcome;
  return {
    "rate error, %": (arrivals.per_second / rate - 1) * 100,
    "sent less planned": ledger.sent - rate * seconds,
    "jitter p50, ms": arrivals.jitter_ms.p50,
    "jitter p99, ms": arrivals.jitter_ms.p99,
    "most in 100 ms": arrivals.most_in_100_ms,
    missed: ledger.missed,
    shed: ledger.shed,
    "corrected p99, ms": latencies.corrected.p99,
    "CPU µs a request": used ? (used.seconds / ledger.sent) * 1e6 : NaN,
    "memory, MiB": used?.mib ?? NaN,
  };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const cases = [
  ...[0.5, 1, 5, 20, 300, 400, 700, 1000, 5000, 10000].map((rate) => ({ name: `${rate}/s`, rate, seconds: 10 })),
  { name: "1000/s for 60 s", rate: 1000, seconds: 60, runs: 1 },
  { name: "1000/s, answers take 200 ms", rate: 1000, seconds: 10, sink: ["--delay", "200ms"] },
  { name: "1000/s for 20 s, a stall of 1 s", rate: 1000, seconds: 20, sink: ["--stall-at", "5s", "--stall-for", "1s"] },
  { name: "1000/s, frozen for 1 s", rate: 1000, seconds: 10, freezeAt: 4 },
  { name: "10000/s for 40 s", rate: 10000, seconds: 40, runs: 1 },
];

let columns;
for (const { name, runs: own, ...what } of cases) {
  const results = [];
  for (let run = 0; run < (own ?? runs); run += 1) results.push(await measure(what));
  if (!columns) {
    columns = Object.keys(results[0]);
    console.log(`| asked, medians of ${runs} | ${columns.join(" | ")} |`);
    console.log(`| --- | ${columns.map(() => "---:").join(" | ")} |`);
  }
  const cells = columns.map((column) => Number(median(results.map((result) => result[column])).toFixed(3)));
  console.log(`| ${name} | ${cells.join(" | ")} |`);
}
console.log(`\n${execFileSync("uname", ["-srm"], { encoding: "utf8" }).trim()}, ${execFileSync("nproc", { encoding: "utf8" }).trim()} processors`);
