// The whole demo as separate processes.

import { LEFT_OUT } from "./environment.mjs";
import { answers, freePort } from "./network.mjs";
import { Process } from "./process.mjs";
import { BURST_PREFIX } from "./results.mjs";
import { Stack } from "./stack.mjs";
import { eventually } from "./waiting.mjs";

/**
 * Starts the demo: frontend, workers and watcher, a real redis-server, a real Prometheus, and `local`, which fakes the
 * mesh and the API server.
 */
export async function startDemo() {
  const stack = new Stack();
  const names = ["redis", "primary", "burst", "mesh", "prometheus", "fakePrometheus", "kubernetes", "page", "watcher"];
  const ports = {};
  for (const name of names) ports[name] = await freePort();
  const redisUrl = `127.0.0.1:${ports.redis}`;
  stack.ports = ports;
  stack.redisServer = await stack.redis(ports.redis);
  stack.primary = await stack.worker(ports.primary, redisUrl, {}, "worker-primary");
  stack.burst = await stack.worker(ports.burst, redisUrl, { PREFIX: BURST_PREFIX }, "worker-burst");
  stack.fakes = stack.add(
    Process.ours("local", {
      FAKES_ONLY: "true",
      REDIS_URL: redisUrl,
      MESH_PORT: String(ports.mesh),
      PROMETHEUS_PORT: String(ports.fakePrometheus),
      KUBERNETES_PORT: String(ports.kubernetes),
      WORKER_PRIMARY_PORT: String(ports.primary),
      WORKER_BURST_PORT: String(ports.burst),
    }),
  );
  await eventually("the mesh listens", () => answers(`http://127.0.0.1:${ports.mesh}/`));
  let prometheus = ports.fakePrometheus;
  if (!LEFT_OUT.has("prometheus")) {
    await stack.prometheus(ports.prometheus, `127.0.0.1:${ports.mesh}`);
    prometheus = ports.prometheus;
  }
  const watcherUrl = `http://127.0.0.1:${ports.watcher}`;
  stack.startFrontend = async () => {
    stack.frontendProcess = await stack.frontend(ports.page, redisUrl, `http://127.0.0.1:${ports.mesh}`, { WATCHER_URL: watcherUrl });
  };
  await stack.startFrontend();
  stack.startWatcher = async () => {
    stack.watcher = stack.add(
      Process.ours("watcher", {
        PORT: String(ports.watcher),
        PROMETHEUS_URL: `http://127.0.0.1:${prometheus}`,
        KUBECONFIG: stack.kubeconfig(ports.kubernetes),
      }),
    );
    await eventually("the watcher listens", () => answers(`${watcherUrl}/`));
  };
  await stack.startWatcher();
  stack.pageUrl = `http://127.0.0.1:${ports.page}/`;
  return stack;
}
