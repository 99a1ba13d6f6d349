// Measures what SOURCE=callers costs with many callers: processor time and memory, at one read of each caller a second.

import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { binaries } from "../lib/environment.mjs";
import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";
import { median, table, usage } from "./measure.mjs";

const PARTS = 5;
/** The labels of a sidecar's counters beside those that differ, as Istio writes them. */
const LABELS = [
  'reporter="source"', 'source_workload="frontend-deployment"', 'source_canonical_service="frontend"', 'source_canonical_revision="latest"',
  'source_workload_namespace="default"', 'source_principal="spiffe://cluster.local/ns/default/sa/frontend"', 'source_app="frontend"',
  'source_version="unknown"', 'source_cluster="primary"', 'destination_workload="worker-deployment"', 'destination_workload_namespace="default"',
  'destination_principal="spiffe://cluster.local/ns/default/sa/worker"', 'destination_app="worker"', 'destination_version="unknown"',
  'destination_service="worker-service.default.svc.cluster.local"', 'destination_canonical_service="worker"',
  'destination_canonical_revision="latest"', 'destination_service_name="worker-service"', 'destination_service_namespace="default"',
  'request_protocol="http"', 'connection_security_policy="unknown"', 'grpc_response_status=""',
].join(",");
/** A sidecar's series: two clusters, and three results. */
const SERIES = ["primary", "burst"].flatMap((cluster) => [["200", "-"], ["503", "UF"], ["0", "DC"]].map(
  ([code, flags]) => `istio_requests_total{${LABELS},destination_cluster="${cluster}",response_code="${code}",response_flags="${flags}"}`,
));

/** Serves the metrics of every caller, each at an address of its own of 127.0.0.0/8. */
function serveCallers(port) {
  const start = Date.now();
  return createServer((_, response) => {
    const count = Math.floor((Date.now() - start) / 100);
    response.setHeader("content-type", "text/plain");
    response.end(`# TYPE istio_requests_total counter\n${SERIES.map((series) => `${series} ${count}\n`).join("")}`);
  }).listen(port, "0.0.0.0");
}

/** Starts a watcher that finds so many callers by a name, which only it knows. */
async function startWatcher(callers) {
  const stack = new Stack();
  const ports = {};
  for (const name of ["mesh", "prometheus", "kubernetes", "callers", "watcher"]) ports[name] = await freePort();
  stack.server = serveCallers(ports.callers);
  await stack.fakes(ports);
  const hosts = path.join(stack.directory, "hosts");
  const address = (number) => `127.1.${Math.floor(number / 250)}.${(number % 250) + 1}`;
  writeFileSync(hosts, `127.0.0.1 localhost\n${Array.from({ length: callers }, (_, number) => `${address(number)} callers\n`).join("")}`);
  const run = 'mount --bind "$1" /etc/hosts && exec "$2"';
  const watcher = stack.add(new Process("watcher", "unshare", ["--map-root-user", "--mount", "sh", "-c", run, "sh", hosts, path.join(binaries, "watcher")], {
    PORT: String(ports.watcher),
    PROMETHEUS_URL: `http://127.0.0.1:${ports.prometheus}`,
    KUBECONFIG: stack.kubeconfig(ports.kubernetes),
    SOURCE: "callers",
    CALLERS_URL: `http://callers:${ports.callers}/stats/prometheus`,
    BURST_ABOVE: "1000000",
  }));
  await eventually("the watcher listens", () => answers(`http://127.0.0.1:${ports.watcher}/`));
  const metrics = async () => (await fetch(`http://127.0.0.1:${ports.watcher}/metrics`)).text();
  await eventually("all callers are read", async () => (await metrics()).includes(`watcher_callers{state="answering"} ${callers}`), 20);
  return { stack, pid: watcher.child.pid };
}

const seconds = Number(process.argv[2] ?? 60);
const rows = [];
for (const callers of [1, 100, 500]) {
  const { stack, pid } = await startWatcher(callers);
  const cores = [];
  for (let part = 0; part <= PARTS; part += 1) {
    const before = usage(pid);
    await sleep((seconds * 1000) / PARTS);
    // The first part warms up.
    if (part > 0) cores.push(((usage(pid).seconds - before.seconds) / (seconds / PARTS)) * 100);
  }
  rows.push([`${callers} callers`, {
    "% of a core": median(cores), "least": Math.min(...cores), "most": Math.max(...cores),
    "% for a hundred": (median(cores) * 100) / callers, "memory, MiB": usage(pid).mib,
  }]);
  stack.server.close();
  stack.server.closeAllConnections();
  await stack.stop();
}
table(`one read a second, medians of ${PARTS} parts of ${seconds / PARTS} s`, ["% of a core", "least", "most", "% for a hundred", "memory, MiB"], rows);
