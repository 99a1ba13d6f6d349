// Measures the worker beside its two ceilings: an axum handler without Redis, and Redis without HTTP.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { binaries, root } from "../lib/environment.mjs";
import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";
import { median, table, usage } from "./measure.mjs";

const runs = Number(process.argv[2] ?? 5);
const SECONDS = 8;
const stack = new Stack();
const redisPort = await freePort();
await stack.redis(redisPort);

/** Starts a server, and returns its port and process. */
async function start(kind, env = {}) {
  const port = await freePort();
  const command = kind === "bare" ? path.join(binaries, "examples", "bare") : path.join(binaries, "worker");
  const settings = { PORT: String(port), REDIS_URL: `127.0.0.1:${redisPort}`, RUST_LOG: "warn", ...env };
  const server = stack.add(new Process(kind, command, [String(port)].slice(kind === "bare" ? 0 : 1), settings));
  await eventually(`${kind} listens`, () => listens(port));
  await sleep(200);
  return { port, server };
}

const listens = (port) => new Promise((resolve) => {
  const socket = connect(port, "127.0.0.1").on("connect", () => resolve(true)).on("error", () => resolve(false));
  socket.on("close", () => {});
  setTimeout(() => socket.destroy(), 100);
});

/** Runs wrk, and returns requests per second, processor seconds per 1,000 requests, and memory. */
async function wrk({ port, server }, seconds = SECONDS) {
  const before = usage(server.child.pid);
  const text = execFileSync("wrk", [
    "-t2", "-c64", `-d${seconds}s`, "--latency", "-s", path.join(root, "e2e/bench/post.lua"), `http://127.0.0.1:${port}/`,
  ], { encoding: "utf8" });
  const after = usage(server.child.pid);
  const requests = Number(text.match(/(\d+) requests in/)[1]);
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
  return {
    "requests/s": Number(text.match(/Requests\/sec:\s+([\d.]+)/)[1]),
    "CPU s / 1,000": ((after.seconds - before.seconds) / requests) * 1000,
    "memory, MiB": after.mib,
  };
}

/** Returns the corrected p99 at a rate, in milliseconds, by oha. */
function p99At(rate, { port }) {
  const body = `{"str":"${"x".repeat(44)}"}`;
  const text = execFileSync("oha", [
    "-q", String(Math.round(rate)), "-c", "64", "-z", `${SECONDS}s`, "-w", "--no-tui", "--latency-correction", "--output-format", "json",
    "-m", "POST", "-T", "application/json", "-d", body, `http://127.0.0.1:${port}/`,
  ], { encoding: "utf8" });
  return JSON.parse(text).latencyPercentiles.p99 * 1000;
}

/** Returns the milliseconds from the start of a worker to its first 200 on /_healthz. */
async function startUp() {
  const port = await freePort();
  const from = performance.now();
  const worker = spawn(path.join(binaries, "worker"), { env: { PORT: String(port), REDIS_URL: `127.0.0.1:${redisPort}`, RUST_LOG: "off" } });
  while (!(await answers(`http://127.0.0.1:${port}/_healthz`).catch(() => false))) await sleep(1);
  const took = performance.now() - from;
  worker.kill("SIGKILL");
  await once(worker, "close");
  return took;
}

async function throughput() {
  const results = { bare: [], worker: [] };
  const idle = [];
  for (let run = 0; run < runs; run += 1) {
    for (const kind of Object.keys(results)) {
      const server = await start(kind);
      if (kind === "worker") idle.push(usage(server.server.child.pid).mib);
      const result = await wrk(server);
      results[kind].push(result);
      console.error(kind, JSON.stringify(result));
      await server.server.stop();
    }
  }
  const columns = Object.keys(results.bare[0]);
  const medians = (kind) => Object.fromEntries(columns.map((column) => [column, median(results[kind].map((run) => run[column]))]));
  const [bare, worker] = [medians("bare"), medians("worker")];
  const ratios = (column) => results.worker.map((run, index) => run[column] / results.bare[index][column]);
  const ratio = Object.fromEntries(columns.map((column) => [column, median(ratios(column))]));
  table(`wrk -t2 -c64, medians of ${runs}`, columns, [["bare handler", bare], ["worker", worker], ["worker / bare", ratio]]);
  return { most: worker["requests/s"], idle: median(idle) };
}

async function latency(rate) {
  const values = { bare: [], worker: [] };
  for (let run = 0; run < runs; run += 1) {
    for (const kind of Object.keys(values)) {
      const server = await start(kind);
      values[kind].push(p99At(rate, server));
      await server.server.stop();
    }
  }
  return { bare: median(values.bare), worker: median(values.worker) };
}

async function rounds() {
  const rows = [];
  for (const count of [1, 100, 1000, 10_000, 100_000]) {
    const server = await start("worker", { ROUNDS: String(count) });
    const times = [];
    let isOver = false;
    const probes = (async () => {
      while (!isOver) {
        const from = performance.now();
        await answers(`http://127.0.0.1:${server.port}/_healthz`);
        times.push(performance.now() - from);
        await sleep(20);
      }
    })();
    const child = spawn("wrk", ["-t1", "-c64", "-d5s", "-s", path.join(root, "e2e/bench/post.lua"), `http://127.0.0.1:${server.port}/`]);
    let text = "";
    child.stdout.on("data", (data) => { text += data; });
    await once(child, "close");
    isOver = true;
    await probes;
    const perSecond = Number(text.match(/Requests\/sec:\s+([\d.]+)/)[1]);
    times.sort((a, b) => a - b);
    rows.push([`ROUNDS=${count}`, {
      "requests/s": perSecond, "million rounds/s": (perSecond * count) / 1e6, "probe p99, ms": times[Math.floor((times.length - 1) * 0.99)],
    }]);
    await server.server.stop();
  }
  table("at full load", Object.keys(rows[0][1]), rows);
}

function redisBenchmark(pipeline) {
  const text = execFileSync("redis-benchmark", [
    "-p", String(redisPort), "-n", "500000", "-c", "50", "-P", String(pipeline), "--csv", "publish", "calculation", "x".repeat(44),
  ], { encoding: "utf8" });
  return Number(text.trim().split("\n").at(-1).split(",")[1].replaceAll('"', ""));
}

const { most, idle } = await throughput();
// Half of the maximum, or what oha can send while it shares the processors.
const half = Math.min(most / 2, 35_000);
const values = [
  ["redis-benchmark PUBLISH, -P 1, /s", redisBenchmark(1)],
  ["redis-benchmark PUBLISH, -P 16, /s", redisBenchmark(16)],
  ["worker's memory, idle, MiB", idle],
  ["worker's binary, stripped, MiB", statSync(path.join(binaries, "worker")).size / (1 << 20)],
];
const starts = [];
for (let run = 0; run < 2 * runs; run += 1) starts.push(await startUp());
values.push(["start to the first 200 on /_healthz, ms", median(starts)]);
try {
  const { bare, worker } = await latency(half);
  values.push([`p99 at ${Math.round(half)}/s, bare handler, ms`, bare], [`p99 at ${Math.round(half)}/s, worker, ms`, worker]);
} catch (error) {
  if (error.code !== "ENOENT") throw error;
  console.log("NOT MEASURED: p99 at half the maximum; oha is not on the PATH");
}
table("", ["value"], values.map(([name, value]) => [name, { value }]));
await rounds();
await stack.stop();
