// ROUTE_KIND=HTTPRoute: the watcher moves the weights of a route of Gateway API, which the same mesh follows.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";

import { CLUSTERS, applyText, kubectl } from "../lib/clusters/kubectl.mjs";
import { freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { LAB_SERVICES } from "../lib/clusters/proxies.mjs";
import { failed, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { root } from "../lib/environment.mjs";
import { eventually } from "../lib/waiting.mjs";

const KINDS = ["gatewayclasses", "gateways", "httproutes", "referencegrants"];
const newVisitor = visitorsUntil(after);

/** Returns the files of Gateway API's CRDs, of the version that the lab's Istio is built with. */
function crds() {
  const command = ["mod", "download", "-json", "sigs.k8s.io/gateway-api"];
  const { Dir: directory } = JSON.parse(execFileSync("go", command, { cwd: path.join(root, "e2e/lab.d/go/istio"), encoding: "utf8" }));
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
const SERVICES = ["worker-primary", "worker-burst"];
const ROUTE = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: worker, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: worker-service, port: 80}]
  rules:
  - timeouts: {request: 2s}
    backendRefs:
    - {name: worker-primary, port: 80, weight: 100}
    - {name: worker-burst, port: 80, weight: 0}
`;
const ROLE = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: istiowatcher-http-route, namespace: default}
rules:
- {apiGroups: [gateway.networking.k8s.io], resources: [httproutes], resourceNames: [worker], verbs: [get, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: istiowatcher-http-route, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: istiowatcher-http-route}
subjects: [{kind: ServiceAccount, name: istiowatcher, namespace: default}]
`;
const weights = () => kubectl("primary", "get", "httproute", "worker", "-o", "jsonpath={.spec.rules[0].backendRefs[*].weight}");

before(async () => {
  await kubectl("primary", "apply", "--server-side", ...crds());
  await kubectl("primary", "wait", "--for=condition=Established", "crd/httproutes.gateway.networking.k8s.io", "--timeout=30s");
  for (const context of CLUSTERS) await applyText(context, `${service("worker-primary", "primary-cluster")}---${service("worker-burst", "burst-cluster")}`);
  await applyText("primary", `${ROUTE}---${ROLE}`);
  await freshClusters(
    "ROUTE_KIND=HTTPRoute", "ROUTE=worker", "PRIMARY_DESTINATION=worker-primary", "BURST_DESTINATION=worker-burst", "SOURCE=callers", ...LAB_SERVICES,
  );
  await kubectl("primary", "delete", "virtualservice", "worker-virtual-service");
});
after(async () => {
  await kubectl("primary", "delete", "--ignore-not-found", "httproute/worker", "role/istiowatcher-http-route", "rolebinding/istiowatcher-http-route");
  for (const context of CLUSTERS) await kubectl(context, "delete", "--ignore-not-found", "service", ...SERVICES);
  await kubectl("primary", "delete", "--ignore-not-found", ...crds());
  await restoreClusters();
});

test("at 20/s the load bursts to the Service of burst, and at 5/s it comes home", { timeout: 300_000 }, async () => {
  const visitor = await newVisitor().connected();
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 60);
  await eventually("the watcher knows the rate", async () => (await weights()) === "100 0", 30);
  const start = visitor.stats;
  await visitor.requestRate(20);
  const burst = await visitor.receivesOnlyFrom("burst", 60);
  assert.equal(await weights(), "0 100");
  await visitor.requestRate(5);
  const home = await visitor.receivesOnlyFrom("primary", 60);
  assert.equal(await weights(), "100 0");
  console.log(`HTTPRoute: burst after ${burst.toFixed(1)} s, home after ${home.toFixed(1)} s`);
  assert.equal(failed(visitor.stats) - failed(start), 0);
});
