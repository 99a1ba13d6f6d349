// ROUTE_KIND=HTTPRoute: the watcher moves the weights of a route of Gateway API, which the same mesh follows.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { httpRoute, httpRouteWeights, installGatewayApi, removeGatewayApi } from "../lib/clusters/gateway-api.mjs";
import { applyText, kubectl } from "../lib/clusters/kubectl.mjs";
import { freshClusters, restoreClusters } from "../lib/clusters/manifests.mjs";
import { LAB_SERVICES } from "../lib/clusters/proxies.mjs";
import { failed, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { eventually } from "../lib/waiting.mjs";

const newVisitor = visitorsUntil(after);
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
before(async () => {
  await installGatewayApi();
  await applyText("primary", `${httpRoute("worker-service")}---${ROLE}`);
  await freshClusters(
    "ROUTE_KIND=HTTPRoute", "ROUTE=worker", "PRIMARY_DESTINATION=worker-primary", "BURST_DESTINATION=worker-burst", "SOURCE=callers", ...LAB_SERVICES,
  );
  await kubectl("primary", "delete", "virtualservice", "worker-virtual-service");
});
after(async () => {
  await kubectl("primary", "delete", "--ignore-not-found", "httproute/worker", "role/istiowatcher-http-route", "rolebinding/istiowatcher-http-route");
  await removeGatewayApi();
  await restoreClusters();
});

test("at 20/s the load bursts to the Service of burst, and at 5/s it comes home", { timeout: 300_000 }, async () => {
  const visitor = await newVisitor().connected();
  await visitor.requestRate(5);
  await visitor.receivesOnlyFrom("primary", 60);
  await eventually("the watcher knows the rate", () => visitor.watcher?.status?.observed.rate > 0, 30);
  assert.equal(await httpRouteWeights(), "100 0");
  const start = visitor.stats;
  await visitor.requestRate(20);
  const burst = await visitor.receivesOnlyFrom("burst", 60);
  assert.equal(await httpRouteWeights(), "0 100");
  await visitor.requestRate(5);
  const home = await visitor.receivesOnlyFrom("primary", 60);
  assert.equal(await httpRouteWeights(), "100 0");
  console.log(`HTTPRoute: burst after ${burst.toFixed(1)} s, home after ${home.toFixed(1)} s`);
  assert.equal(failed(visitor.stats) - failed(start), 0);
});
