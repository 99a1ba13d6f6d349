// The watcher's certificates: those that it trusts and those that it shows, which rotate while it runs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import path from "node:path";
import { after, before, test } from "node:test";

import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";

const stack = new Stack();
const file = (name) => path.join(stack.directory, name);
const openssl = (...args) => execFileSync("openssl", args, { cwd: stack.directory, stdio: "pipe" });

/** Makes another authority, and by it a certificate of the server and one of the watcher. */
function rotate() {
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "new-ca.pem", "-days", "2", "-subj", `/CN=authority ${Date.now()}`);
  for (const name of ["server", "client"]) {
    openssl("req", ...ec, "-keyout", `new-${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(file("extensions"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
    openssl("x509", "-req", "-in", `${name}.csr`, "-CA", "new-ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", `new-${name}.pem`, "-extfile", "extensions");
  }
}

/** Lets the watcher see the newest certificates. */
function publish() {
  for (const name of ["ca.pem", "client.pem", "client.key"]) writeFileSync(file(name), readFileSync(file(`new-${name}`)));
}

const virtualService = {
  apiVersion: "networking.istio.io/v1", kind: "VirtualService",
  metadata: { name: "worker-virtual-service", namespace: "default", resourceVersion: "1", uid: "u" },
  spec: { hosts: ["w"], http: [{ route: ["primary", "burst"].map((subset, index) => ({ destination: { host: "w", subset }, weight: index === 0 ? 100 : 0 })) }] },
};

/** An API server and a Prometheus in one, which answers only the watcher. */
async function serve(port) {
  const options = {
    key: readFileSync(file("new-server.key")), cert: readFileSync(file("new-server.pem")), ca: readFileSync(file("new-ca.pem")),
    requestCert: true, rejectUnauthorized: true,
  };
  const server = createServer(options, (request, response) => {
    const now = Date.now() / 1000;
    const values = Array.from({ length: 20 }, (_, index) => [now - (20 - index), String(index * 5)]);
    const series = { metric: { destination_cluster: "primary", response_code: "200" }, values };
    const isQuery = request.url.startsWith("/api/v1/query");
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(isQuery ? { status: "success", data: { resultType: "matrix", result: [series] } } : virtualService));
  });
  await new Promise((resolve) => { server.listen(port, "127.0.0.1", resolve); });
  return { stop: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}

let watcher;
let port;
let server;
before(async () => {
  rotate();
  publish();
  port = await freePort();
  server = stack.add(await serve(port));
  writeFileSync(file("kubeconfig"), JSON.stringify({
    apiVersion: "v1", kind: "Config", "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: `https://127.0.0.1:${port}`, "certificate-authority": file("ca.pem") } }],
    users: [{ name: "u", user: { "client-certificate": file("client.pem"), "client-key": file("client.key") } }],
  }));
  watcher = { port: await freePort() };
  watcher.process = stack.add(Process.ours("watcher", {
    PORT: String(watcher.port), KUBECONFIG: file("kubeconfig"), PROMETHEUS_URL: `https://127.0.0.1:${port}`,
    PROMETHEUS_CA_FILE: file("ca.pem"), PROMETHEUS_CERT_FILE: file("client.pem"), PROMETHEUS_KEY_FILE: file("client.key"),
  }));
  await eventually("the watcher answers", () => answers(`http://127.0.0.1:${watcher.port}/`));
});
after(() => stack.stop());

/** Waits until both servers have been asked with success a few times more. */
async function checkWorks() {
  const counts = async () => {
    const text = await (await fetch(`http://127.0.0.1:${watcher.port}/metrics`)).text();
    return ["queries", "observations"].map((name) => Number(new RegExp(`^watcher_${name}_total\\{result="ok"\\} (\\d+)`, "m").exec(text)?.[1] ?? 0));
  };
  const start = await counts();
  await eventually("both are asked with success", async () => (await counts()).every((count, index) => count > start[index] + 2), 40);
}

test("the watcher trusts what it is told, and shows its own certificate", { timeout: 60_000 }, checkWorks);

test("certificates that rotate while the watcher runs are read again", { timeout: 90_000 }, async () => {
  const earlier = watcher.process.output.length;
  await server.stop();
  rotate();
  server = stack.add(await serve(port));
  await eventually("the watcher says so", () => /certificate/i.test(watcher.process.output.slice(earlier)), 30);
  publish();
  await checkWorks();
  assert.equal(watcher.process.child.exitCode, null);
});

test("a file that is not there, or that is no certificate, is named", async () => {
  for (const [ca, says] of [[file("none.pem"), /PROMETHEUS_CA_FILE: .*none\.pem.*No such file/], [file("kubeconfig"), /PROMETHEUS_CA_FILE: .*kubeconfig is not PEM/]]) {
    const wrong = stack.add(Process.ours("watcher", {
      PORT: String(await freePort()), KUBECONFIG: file("kubeconfig"), PROMETHEUS_URL: `https://127.0.0.1:${port}`, PROMETHEUS_CA_FILE: ca,
    }, {}, "watcher-wrong"));
    const { code } = await wrong.ended;
    assert.equal(code, 1, wrong.output);
    assert.match(wrong.output, says);
  }
});
