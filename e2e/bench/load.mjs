// Measures the load against a sink that records when each request arrives, beside other load generators.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { binaries, root } from "../lib/environment.mjs";
import { freePort } from "../lib/network.mjs";
import { median, table, usage } from "./measure.mjs";

const BODY = '{"str":"abcdefghijk"}';
const CONNECTIONS = 50;
/** Runs a command by the scheduling policy SCHED_FIFO, which root may do. */
const FIRST = ["chrt", "--fifo", "10"];

const generators = {
  load: {
    command: `${binaries}/load`,
    args: (url, rate, seconds) => ["--url", url, "--rate", rate, "--for", `${seconds}s`, "--json"],
    read: (text) => {
      const { ledger, latencies_ms: latencies } = JSON.parse(text);
      return { "p99 it reports, ms": latencies.corrected.p99, missed: ledger.missed, shed: ledger.shed };
    },
  },
  oha: {
    command: "oha",
    args: (url, rate, seconds) => [
      "-q", rate, "-c", CONNECTIONS, "-z", `${seconds}s`, "-w", "--no-tui", "--latency-correction", "--output-format", "json",
      "-m", "POST", "-T", "application/json", "-d", BODY, url,
    ],
    read: (text) => ({ "p99 it reports, ms": JSON.parse(text).latencyPercentiles.p99 * 1000 }),
  },
  hey: {
    command: "hey",
    args: (url, rate, seconds) => [
      "-q", rate / CONNECTIONS, "-c", CONNECTIONS, "-z", `${seconds}s`, "-m", "POST", "-T", "application/json", "-d", BODY, url,
    ],
    read: (text) => ({ "p99 it reports, ms": Number(text.match(/99% in ([\d.]+) secs/)?.[1]) * 1000 }),
  },
  // It keeps no rate: it sends as fast as it can.
  wrk: {
    command: "wrk",
    args: (url, rate, seconds) => ["-t1", "-c", CONNECTIONS, "-d", `${seconds}s`, "-s", `${root}/e2e/bench/post.lua`, url],
    read: () => ({}),
    columns: ["CPU µs a request", "memory, MiB"],
  },
};

/** Starts a program; if it is first, other processes wait for it, and it waits for none. */
function start(command, args, isFirst) {
  const [program, ...rest] = [...(isFirst ? FIRST : []), command, ...args.map(String)];
  return spawn(program, rest, { stdio: ["ignore", "pipe", "ignore"] });
}

async function measure({ generator, rate, seconds, sink = [], freezeAt, isFirst }) {
  const { command, args, read, columns } = generators[generator];
  const port = await freePort();
  const sinkProcess = start(`${binaries}/sink`, ["--port", port, "--rate", rate, ...sink], isFirst);
  await sleep(300);
  const load = start(command, args(`http://127.0.0.1:${port}/`, rate, seconds), isFirst);
  const text = { load: "", sink: "" };
  load.stdout.on("data", (data) => { text.load += data; });
  sinkProcess.stdout.on("data", (data) => { text.sink += data; });
  const ended = once(load, "close");
  let used;
  const watch = setInterval(() => {
    try {
      used = usage(load.pid);
    } catch {
      // It has ended.
    }
  }, 100);
  if (freezeAt) {
    await sleep(freezeAt * 1000);
    load.kill("SIGSTOP");
    await sleep(1000);
    load.kill("SIGCONT");
  }
  await ended;
  clearInterval(watch);
  sinkProcess.kill("SIGINT");
  await once(sinkProcess, "close");
  const arrivals = JSON.parse(text.sink);
  const cells = {
    "rate error, %": (arrivals.per_second / rate - 1) * 100,
    "sent less requested": arrivals.requests - rate * seconds,
    "jitter p50, ms": arrivals.jitter_ms.p50,
    "jitter p99, ms": arrivals.jitter_ms.p99,
    "most in 1 ms": arrivals.most_in_1_ms,
    "most in 100 ms": arrivals.most_in_100_ms,
    "CPU µs a request": (used.seconds / arrivals.requests) * 1e6,
    "memory, MiB": used.mostMib,
    ...read(text.load),
  };
  return Object.fromEntries(Object.entries(cells).filter(([column]) => columns?.includes(column) ?? true));
}

function isInstalled(generator) {
  try {
    execFileSync(generators[generator].command, ["--help"], { stdio: "ignore" });
    return true;
  } catch (error) {
    // hey and wrk end their help with a failure.
    return error.code !== "ENOENT";
  }
}

function mayBeFirst() {
  try {
    execFileSync(FIRST[0], [...FIRST.slice(1), "true"], { stdio: "ignore" });
    return true;
  } catch {
    console.log(`NOT MEASURED: the load before other processes, because "${FIRST.join(" ")}" fails here`);
    return false;
  }
}

const rivals = ["oha", "hey", "wrk"].filter((rival) => {
  if (!isInstalled(rival)) console.log(`NOT MEASURED: ${rival} is not on the PATH`);
  return isInstalled(rival);
});
const beside = ["load", ...rivals.filter((rival) => rival !== "wrk")];
const besideOha = ["load", ...rivals.filter((rival) => rival === "oha")];
const cases = [
  ...[0.5, 1, 5, 20, 300, 400, 700].map((rate) => ({ name: `${rate}/s`, rate, seconds: 10 })),
  { name: "1000/s", rate: 1000, seconds: 10, beside },
  { name: "5000/s", rate: 5000, seconds: 10 },
  { name: "10000/s", rate: 10000, seconds: 10, beside },
  { name: "40000/s", rate: 40000, seconds: 10, beside: besideOha },
  ...(mayBeFirst() ? [{ name: "40000/s, before other processes", rate: 40000, seconds: 10, isFirst: true, beside: besideOha }] : []),
  { name: "as fast as possible", rate: 100000, seconds: 10, beside: rivals.filter((rival) => rival === "wrk") },
  { name: "1000/s for 60 s", rate: 1000, seconds: 60 },
  { name: "1000/s, answers take 200 ms", rate: 1000, seconds: 10, sink: ["--delay", "200ms"], beside },
  { name: "1000/s for 20 s, a stall of 1 s", rate: 1000, seconds: 20, sink: ["--stall-at", "5s", "--stall-for", "1s"], beside },
  { name: "1000/s, frozen for 1 s", rate: 1000, seconds: 10, freezeAt: 4, beside },
  { name: "10000/s for 40 s", rate: 10000, seconds: 40 },
];

const runs = Number(process.argv[2] ?? 5);
const onlyRate = process.argv[3];
const plain = cases.filter(({ rate, seconds, sink, freezeAt }) => Number.isInteger(rate) && seconds === 10 && !sink && !freezeAt);
const selected = onlyRate ? plain.filter(({ rate }) => rate === Number(onlyRate)) : cases;
if (selected.length === 0) {
  console.error(`bench: RATE: "${onlyRate}" is not accepted; accepted: ${[...new Set(plain.map(({ rate }) => rate))].join(", ")}`);
  process.exit(2);
}
const rows = [];
for (const { name, beside: generatorsHere = ["load"], ...what } of selected) {
  const results = Object.fromEntries(generatorsHere.map((generator) => [generator, []]));
  // By turns, so that other work on the machine affects all generators alike.
  for (let run = 0; run < runs; run += 1) {
    for (const generator of generatorsHere) results[generator].push(await measure({ generator, ...what }));
  }
  for (const [generator, measured] of Object.entries(results)) {
    const columns = Object.keys(measured[0]);
    const cells = Object.fromEntries(columns.map((column) => [column, median(measured.map((run) => run[column]))]));
    rows.push([generator === "load" ? name : `${name}: *${generator}*`, cells]);
    console.error(name, generator, JSON.stringify(measured));
  }
}
table(`requested, medians of ${runs}`, Object.keys(rows[0][1]), rows);
