// Starts a real Envoy before a server.

import { writeFileSync } from "node:fs";
import path from "node:path";

import { Process } from "./process.mjs";
import { answers } from "./network.mjs";
import { eventually } from "./waiting.mjs";

const address = (port) => ({ socket_address: { address: "127.0.0.1", port_value: port } });

/** Starts an Envoy that passes what arrives at `port` on to `upstream`, as a sidecar does: no retries, idle for an hour. */
export async function startEnvoy(stack, port, upstream) {
  const route = { match: { prefix: "/" }, route: { cluster: "upstream", timeout: "15s" } };
  const manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "edge",
    route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [route] }] },
    http_filters: [{
      name: "envoy.filters.http.router",
      typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }],
  };
  const config = {
    static_resources: {
      listeners: [{
        name: "edge",
        address: address(port),
        filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] }],
      }],
      clusters: [{
        name: "upstream",
        connect_timeout: "2s",
        load_assignment: {
          cluster_name: "upstream",
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
        },
      }],
    },
  };
  const file = path.join(stack.directory, `envoy-${port}.json`);
  writeFileSync(file, JSON.stringify(config));
  const envoy = stack.add(
    new Process("envoy", process.env.ENVOY, ["--config-path", file, "--use-dynamic-base-id", "--log-level", "error", "--concurrency", "1"]),
  );
  await eventually("Envoy passes requests on", () => answers(`http://127.0.0.1:${port}/`), 30);
  return envoy;
}
