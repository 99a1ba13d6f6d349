// Starts real parts, each as a process of its own, and ends them with the test.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
export const out = path.join(root, "e2e", "out");
export const binaries = path.resolve(root, process.env.BINARIES ?? "target/debug");

export const LEFT_OUT = new Set((process.env.WITHOUT ?? "").split(",").filter(Boolean));

/** A port of this machine that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until something is true, or returns something, for up to `seconds`. */
export async function eventually(what, isTrue, seconds = 20) {
  const start = Date.now();
  let last;
  for (;;) {
    try {
      last = await isTrue();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() - start > seconds * 1000) throw new Error(`not within ${seconds} s: ${what} (${last})`);
    await sleep(50);
  }
}

/** Seconds that something takes. */
export async function secondsOf(something) {
  const start = Date.now();
  await something();
  return (Date.now() - start) / 1000;
}

/** A child process whose output is kept in `out`, and that is killed when the stack is left. */
export class Process {
  constructor(name, command, args, env = {}, options = {}) {
    mkdirSync(out, { recursive: true });
    this.name = name;
    this.output = "";
    this.child = spawn(command, args, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...options,
    });
    const log = createWriteStream(path.join(out, `${name}.log`), { flags: "a" });
    log.write(`--- ${command} ${args.join(" ")}\n`);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on("data", (data) => {
        this.output += data;
        log.write(data);
      });
    }
    this.ended = new Promise((resolve) => {
      this.child.on("error", (error) => resolve({ error }));
      this.child.on("close", (code, signal) => resolve({ code, signal }));
    });
  }

  /** One of our programs. */
  static ours(program, env, options, name = program) {
    return new Process(name, path.join(binaries, program), [], env, options);
  }

  signal(signal) {
    this.child.kill(signal);
  }

  async stop(signal = "SIGKILL") {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.ended;
  }
}

/** Real processes, stopped in the reverse of the order in which they were started. */
export class Stack {
  processes = [];
  directory = mkdtempSync(path.join(tmpdir(), "istio-burst-e2e-"));

  add(process) {
    this.processes.push(process);
    return process;
  }

  async redis(port, args = []) {
    const redis = this.add(
      new Process("redis-server", "redis-server", [
        "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...args,
      ], {}, { cwd: this.directory }),
    );
    await eventually("redis-server listens", () => redis.output.includes("Ready to accept connections"));
    return redis;
  }

  async worker(port, redisUrl, env = {}, name = "worker") {
    const worker = this.add(Process.ours("worker", { PORT: String(port), REDIS_URL: redisUrl, ...env }, {}, name));
    await eventually("the worker listens", () => answers(`http://127.0.0.1:${port}/`));
    return worker;
  }

  async frontend(port, redisUrl, processorUrl, env = {}) {
    const frontend = this.add(
      Process.ours("frontend", { PORT: String(port), REDIS_URL: redisUrl, PROCESSOR_URL: processorUrl, ...env }),
    );
    await eventually("the frontend listens", () => answers(`http://127.0.0.1:${port}/_healthz`));
    return frontend;
  }

  /** A real Prometheus that scrapes one address every second. */
  async prometheus(port, target) {
    const config = path.join(this.directory, "prometheus.yml");
    const scrape = { job_name: "mesh", metrics_path: "/stats/prometheus", static_configs: [{ targets: [target] }] };
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ global: { scrape_interval: "1s" }, scrape_configs: [scrape] }));
    const prometheus = this.add(
      new Process("prometheus", "prometheus", [
        `--config.file=${config}`,
        `--storage.tsdb.path=${path.join(this.directory, "tsdb")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ]),
    );
    await eventually("Prometheus is ready", () => answers(`http://127.0.0.1:${port}/-/ready`));
    return prometheus;
  }

  kubeconfig(port) {
    const file = path.join(this.directory, "kubeconfig");
    writeFileSync(file, JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "primary",
      contexts: [{ name: "primary", context: { cluster: "primary", user: "watcher" } }],
      clusters: [{ name: "primary", cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: "watcher", user: {} }],
    }));
    return file;
  }

  async stop() {
    for (const process of this.processes.reverse()) await process.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Returns what makes stacks that are stopped when a file's tests are over; `after` is node:test's. */
export function stacks(after) {
  const made = [];
  after(async () => {
    for (const stack of made) await stack.stop();
  });
  return () => {
    const stack = new Stack();
    made.push(stack);
    return stack;
  };
}

/** The watcher's query over the demo's shorter window, as `local --help` says it. */
function localQuery() {
  const help = execFileSync(path.join(binaries, "local"), ["--help"], { encoding: "utf8", env: {} });
  return help.match(/\[env: QUERY=\]\s+\[default:\s+(sum\(.*\[10s\]\)\))\]/)[1];
}

export async function answers(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
  return response.ok;
}

/**
 * The whole demo as separate processes: our three programs, a real redis-server, a real Prometheus, and
 * `local` for the mesh and the API server.
 */
export async function demo() {
  const stack = new Stack();
  const names = ["redis", "primary", "burst", "mesh", "prometheus", "localPrometheus", "kubernetes", "page", "watcher"];
  const ports = {};
  for (const name of names) ports[name] = await freePort();
  const redisUrl = `127.0.0.1:${ports.redis}`;
  stack.ports = ports;
  stack.redisServer = await stack.redis(ports.redis);
  stack.primary = await stack.worker(ports.primary, redisUrl, {}, "worker-primary");
  stack.burst = await stack.worker(ports.burst, redisUrl, { PREFIX: "bursty-" }, "worker-burst");
  stack.farSide = stack.add(
    Process.ours("local", {
      FAR_SIDE_ONLY: "true",
      REDIS_URL: redisUrl,
      MESH_PORT: String(ports.mesh),
      PROMETHEUS_PORT: String(ports.localPrometheus),
      KUBERNETES_PORT: String(ports.kubernetes),
      WORKER_PRIMARY_PORT: String(ports.primary),
      WORKER_BURST_PORT: String(ports.burst),
    }),
  );
  await eventually("the mesh listens", () => answers(`http://127.0.0.1:${ports.mesh}/`));
  let prometheus = ports.localPrometheus;
  if (!LEFT_OUT.has("prometheus")) {
    await stack.prometheus(ports.prometheus, `127.0.0.1:${ports.mesh}`);
    prometheus = ports.prometheus;
  }
  const watcherUrl = `http://127.0.0.1:${ports.watcher}`;
  stack.startPage = async () => {
    stack.page = await stack.frontend(ports.page, redisUrl, `http://127.0.0.1:${ports.mesh}`, { WATCHER_URL: watcherUrl });
  };
  await stack.startPage();
  stack.startWatcher = async () => {
    stack.watcher = stack.add(
      Process.ours("watcher", {
        PORT: String(ports.watcher),
        PROMETHEUS_URL: `http://127.0.0.1:${prometheus}`,
        KUBECONFIG: stack.kubeconfig(ports.kubernetes),
        QUERY: localQuery(),
      }),
    );
    await eventually("the watcher listens", () => answers(`${watcherUrl}/`));
  };
  await stack.startWatcher();
  stack.pageUrl = `http://127.0.0.1:${ports.page}/`;
  return stack;
}
