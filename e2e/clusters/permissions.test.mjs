// Who may do what: the watcher at the API server, and pods among one another in the mesh.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CLUSTERS, kubectl } from "../lib/clusters/kubectl.mjs";
import { allRolledOut, applyAll } from "../lib/clusters/manifests.mjs";

const strangers = "e2e/clusters/strangers.yaml";

before(async () => {
  await applyAll();
  await allRolledOut(90);
});
after(async () => {
  for (const context of CLUSTERS) await kubectl(context, "delete", "--ignore-not-found", "--grace-period=1", "-f", strangers);
});

test("the watcher may read and patch its VirtualService and write Events, and nothing else that we tried", async () => {
  const may = async (...question) => {
    const args = ["auth", "can-i", ...question, "--as=system:serviceaccount:default:istiowatcher"];
    return kubectl("primary", ...args).catch((error) => error.stdout.trim());
  };
  const service = "virtualservices.networking.istio.io";
  for (const verb of ["get", "patch"]) assert.equal(await may(verb, `${service}/worker-virtual-service`), "yes", verb);
  for (const verb of ["create", "patch"]) assert.equal(await may(verb, "events.events.k8s.io"), "yes", verb);
  for (const verb of ["list", "watch", "create", "update", "delete"]) assert.equal(await may(verb, `${service}/worker-virtual-service`), "no", verb);
  for (const question of [
    ["patch", `${service}/frontend-ingress-virtual-service`], ["patch", `${service}/worker-virtual-service`, "-n", "istio-system"],
    ["get", "secrets"], ["list", "secrets"], ["get", "configmaps"], ["list", "pods"], ["create", "pods"], ["create", "pods/exec"], ["get", "nodes"],
    ["patch", "deployments.apps/worker-deployment"], ["patch", "destinationrules.networking.istio.io/worker-destination-rule"],
    ["delete", "events.events.k8s.io"], ["create", "leases.coordination.k8s.io"], ["impersonate", "serviceaccounts"],
    ["create", "rolebindings.rbac.authorization.k8s.io"], ["get", "events.events.k8s.io", "-n", "istio-system"], ["*", "*"],
  ]) {
    assert.equal(await may(...question), "no", question.join(" "));
  }
  for (const who of ["worker", "frontend", "redis"]) {
    const answer = await kubectl("primary", "auth", "can-i", "get", "pods", `--as=system:serviceaccount:default:${who}`).catch((error) => error.stdout.trim());
    assert.equal(answer, "no", who);
  }
});

test("only the pods that need them reach the worker, Redis and the watcher", { timeout: 120_000 }, async () => {
  for (const context of CLUSTERS) {
    await kubectl(context, "apply", "-f", strangers);
    await kubectl(context, "wait", "--for=condition=Ready", "pod", "-l", "app=stranger", "--timeout=60s");
  }
  const call = (context, pod, ...command) =>
    kubectl(context, "exec", pod, "-c", "tools", "--", ...command).catch((error) => `${error.stdout}${error.stderr}`.trim());
  const post = ["curl", "-sS", "-m", "5", "-w", " %{http_code}", "-H", "content-type: application/json", "-d", '{"str": "x"}', "http://worker-service/"];
  const status = ["curl", "-sS", "-m", "5", "-w", " %{http_code}", "http://istiowatcher-service/status"];
  const publish = ["redis-cli", "-h", "redis-cache-service", "ping"];
  for (const context of CLUSTERS) {
    // A pod without identity: neither sidecar nor certificate.
    assert.match(await call(context, "stranger-outside", ...post), /reset by peer|Empty reply/, context);
    // Outside the mesh, burst has the Service of Redis without a pod behind it.
    assert.match(await call(context, "stranger-outside", ...publish), context === "burst" ? /refused/i : /reset by peer|closed the connection/i, context);
    // Burst does not have this Service.
    assert.match(await call(context, "stranger-outside", ...status), context === "burst" ? /Could not resolve/ : /reset by peer|Empty reply/, context);
    // A pod with an identity that no policy allows.
    assert.match(await call(context, "stranger-inside", ...post), /RBAC: access denied 403$/, context);
    assert.match(await call(context, "stranger-inside", ...publish), /reset by peer|closed the connection/i, context);
    if (context === "primary") assert.match(await call(context, "stranger-inside", ...status), /RBAC: access denied 403$/);
    // A pod with the worker's identity reaches Redis through the mesh, from both clusters, but not the workers.
    assert.equal(await call(context, "stranger-as-worker", ...publish), "PONG", context);
    assert.match(await call(context, "stranger-as-worker", ...post), /RBAC: access denied 403$/, context);
    await kubectl(context, "delete", "--grace-period=1", "-f", strangers);
  }
});
