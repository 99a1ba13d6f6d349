// One cluster without Istio, as in the codelab's first half. The page is behind a forwarded port.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, test } from "node:test";
import { io } from "socket.io-client";

import { firstPod, kubectl, kubectlFails } from "../lib/clusters/kubectl.mjs";
import { freePort } from "../lib/network.mjs";
import { eventually } from "../lib/waiting.mjs";

let forward;
let socket;
after(async () => {
  socket?.disconnect();
  forward?.kill();
  await kubectl("primary", "delete", "--ignore-not-found", "-f", "k8s/");
});

test("without Istio, kubectl says which resources are missing", async () => {
  const message = await kubectlFails("primary", "apply", "-f", "istio/");
  assert.match(message, /no matches for kind "VirtualService" in version "networking.istio.io\/v1"/);
  assert.match(message, /ensure CRDs are installed first/);
});

test("restricted Pod Security admission accepts our pods, and hashes flow", { timeout: 120_000 }, async () => {
  await kubectl("primary", "label", "namespace", "default", "--overwrite", "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted");
  await kubectl("primary", "apply", "-f", "k8s/");
  for (const name of ["frontend-deployment", "worker-deployment", "redis-cache"]) {
    await kubectl("primary", "rollout", "status", `deployment/${name}`, "--timeout=60s");
  }

  const port = await freePort();
  forward = spawn("kubectl", ["--context", "primary", "-n", "default", "port-forward", "service/frontend-service", `${port}:80`], { stdio: "ignore" });
  await eventually("the page is there", async () => (await fetch(`http://127.0.0.1:${port}/`)).ok);
  socket = io(`http://127.0.0.1:${port}`, { forceNew: true });
  const results = [];
  socket.on("calculation", (text) => results.push(text));
  await eventually("the client is connected", () => socket.connected);
  await socket.timeout(5000).emitWithAck("frequency", { freq: 20 });
  await eventually("hashes flow", () => results.length > 100);
  assert.match(results[0], /^[A-Za-z0-9+/]{43}=$/);
});

test("the watcher logs which resource is missing, and waits", async () => {
  const pod = await eventually("the watcher runs", () => firstPod("primary", "istiowatcher"));
  await eventually("its log names the VirtualService", async () => /VirtualService/i.test(await kubectl("primary", "logs", pod)));
  const restarts = await kubectl("primary", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}");
  assert.equal(restarts, "0");
});

test("kubectl delete removes everything that kubectl apply created", async () => {
  await kubectl("primary", "delete", "-f", "k8s/");
  await kubectl("primary", "label", "namespace", "default", "pod-security.kubernetes.io/enforce-", "pod-security.kubernetes.io/warn-");
  assert.equal(await kubectl("primary", "get", "deployments,services,roles,serviceaccounts", "-o", "name", "--field-selector=metadata.name!=default,metadata.name!=kubernetes"), "");
});
