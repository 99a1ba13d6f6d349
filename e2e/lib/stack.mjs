// Starts real programs, each as a process of its own, and ends all of them together.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { answers } from "./network.mjs";
import { Process } from "./process.mjs";
import { eventually } from "./waiting.mjs";

/** Waits until a worker is ready: until it may publish. */
export const workerIsReady = (port) => eventually("the worker is ready", () => answers(`http://127.0.0.1:${port}/_healthz`));

/** Real processes. `stop` ends them in the reverse of the order in which they were started. */
export class Stack {
  processes = [];
  directory = mkdtempSync(path.join(tmpdir(), "istio-burst-e2e-"));

  /** Adds a process, or anything else that has a `stop`. */
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

  /** Starts `local`'s fakes alone, at these ports. Without ports of workers, its mesh leads nowhere. */
  async fakes({ mesh, prometheus, kubernetes, primary = 1, burst = 1 }, name = "fakes", settings = {}) {
    const ports = { MESH_PORT: mesh, PROMETHEUS_PORT: prometheus, KUBERNETES_PORT: kubernetes, WORKER_PRIMARY_PORT: primary, WORKER_BURST_PORT: burst };
    const given = Object.entries(ports).filter(([, port]) => port !== undefined).map(([variable, port]) => [variable, String(port)]);
    this.add(Process.ours("local", { FAKES_ONLY: "true", ...Object.fromEntries(given), ...settings }, {}, name));
    if (mesh) await eventually("the fakes listen", () => answers(`http://127.0.0.1:${mesh}/stats/prometheus`));
  }

  /** Starts a real Prometheus that scrapes one address every second. */
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

  /** Writes a kubeconfig for an API server at a port, and returns its path. */
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

/** Returns a function that makes stacks, which stop when the tests of a file are over. `after` is node:test's. */
export function stacksUntil(after) {
  const stacks = [];
  after(async () => {
    for (const stack of stacks) await stack.stop();
  });
  return () => {
    const stack = new Stack();
    stacks.push(stack);
    return stack;
  };
}
