// Gateway API in the lab: its definitions, and an HTTPRoute that leads to a Service of each cluster.

import { execFileSync } from "node:child_process";
import path from "node:path";

import { root } from "../environment.mjs";
import { CLUSTERS, applyText, kubectl } from "./kubectl.mjs";

const KINDS = ["gatewayclasses", "gateways", "httproutes", "referencegrants"];
const SERVICES = ["worker-primary", "worker-burst"];

/** Returns the files of Gateway API's CRDs, of the version that the lab's Istio is built with. */
function crds() {
  const command = ["mod", "download", "-json", "sigs.k8s.io/gateway-api"];
  const { Dir: directory } = JSON.parse(execFileSync("go", command, { cwd: path.join(root, "e2e/lab.d/go/programs"), encoding: "utf8" }));
  return KINDS.flatMap((kind) => ["-f", path.join(directory, "config/crd/standard", `gateway.networking.k8s.io_${kind}.yaml`)]);
}

const service = (name, cluster) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: default}
spec:
  selector: {app: worker, cluster-type: ${cluster}}
  ports: [{name: http, port: 80, targetPort: http}]
`;

/** Installs Gateway API, and a Service of the workers of each cluster. */
export async function installGatewayApi() {
  await kubectl("primary", "apply", "--server-side", ...crds());
  await kubectl("primary", "wait", "--for=condition=Established", "crd/httproutes.gateway.networking.k8s.io", "--timeout=30s");
  for (const context of CLUSTERS) await applyText(context, `${service("worker-primary", "primary-cluster")}---${service("worker-burst", "burst-cluster")}`);
}

/** Removes what `installGatewayApi` has installed, and with it all HTTPRoutes. */
export async function removeGatewayApi() {
  for (const context of CLUSTERS) await kubectl(context, "delete", "--ignore-not-found", "service", ...SERVICES);
  await kubectl("primary", "delete", "--ignore-not-found", ...crds());
}

/** Returns the HTTPRoute `worker`, of the requests to a Service. */
export const httpRoute = (parent) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: worker, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: ${parent}, port: 80}]
  rules:
  - timeouts: {request: 2s}
    backendRefs:
    - {name: worker-primary, port: 80, weight: 100}
    - {name: worker-burst, port: 80, weight: 0}
`;

/** Returns the weights of that HTTPRoute, as "100 0": primary, then burst. */
export const httpRouteWeights = () => kubectl("primary", "get", "httproute", "worker", "-o", "jsonpath={.spec.rules[0].backendRefs[*].weight}");
