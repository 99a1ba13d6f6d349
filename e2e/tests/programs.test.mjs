// The programs as processes: settings, signals, logs, and a real redis-server that fails.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { binaries, root } from "../lib/environment.mjs";
import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { stacksUntil, workerIsReady } from "../lib/stack.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const newStack = stacksUntil(after);

async function runToTheEnd(program, env, options) {
  const process = Process.ours(program, env, options);
  const { code } = await process.ended;
  return { code, output: process.output };
}

test("a missing or malformed variable ends a program at once, with one line that names the variable", async () => {
  const cases = [
    ["worker", {}, "REDIS_URL: missing"],
    ["worker", { REDIS_URL: "http://redis" }, "REDIS_URL: its value is not accepted; accepted: host:port"],
    ["worker", { REDIS_URL: "redis:6379", PORT: "http" }, 'PORT: "http" is not accepted'],
    ["frontend", { REDIS_URL: "redis:6379" }, "PROCESSOR_URL: missing"],
    ["frontend", { REDIS_URL: "redis:6379", PROCESSOR_URL: "worker" }, 'PROCESSOR_URL: its value is not accepted; accepted: http://'],
    [
      "frontend", { REDIS_URL: "redis:6379", PROCESSOR_URL: "http://worker", CONTROL_TOKEN: "secret" },
      "CONTROL_TOKEN: its value is not accepted; accepted: 8 to 256 printable",
    ],
    [
      "frontend", { REDIS_URL: "redis:6379", PROCESSOR_URL: "http://worker", ALLOWED_ORIGINS: "hashr.example" },
      'ALLOWED_ORIGINS: "hashr.example" is not accepted; accepted: http://host',
    ],
    ["watcher", { PROMETHEUS_URL: "prometheus" }, 'PROMETHEUS_URL: its value is not accepted; accepted: http://'],
    ["watcher", { HOME_BELOW: "20" }, "HOME_BELOW: 20 is not accepted"],
    ["watcher", { POLICY: "both" }, 'POLICY: "both" is not accepted; accepted: threshold, spill'],
    ["watcher", { SPILL_STABILIZATION_WINDOW: "2h" }, 'SPILL_STABILIZATION_WINDOW: "2h" is not accepted; accepted: 1s to 10m'],
    ["watcher", { DRY_RUN: "maybe" }, 'DRY_RUN: "maybe" is not accepted'],
    ["watcher", { KUBECONFIG: "/nowhere", PORT: "0" }, "KUBECONFIG: /nowhere"],
    ["local", { MESH_PORT: "-1" }, 'MESH_PORT: "-1" is not accepted'],
    ["local", { RUST_LOG: "info=debug=trace" }, "RUST_LOG: "],
  ];
  for (const [program, env, line] of cases) {
    const { code, output } = await runToTheEnd(program, env);
    const lines = output.trim().split("\n").filter((text) => !text.includes(" INFO "));
    assert.equal(lines.length, 1, output);
    assert.ok(lines[0].startsWith(line), `${lines[0]} does not start with ${line}`);
    assert.notEqual(code, 0);
  }
});

test("the error of a port in use names the port and its variable", async () => {
  const port = await freePort();
  const stack = newStack();
  await stack.worker(port, "127.0.0.1:1");
  const { output } = await runToTheEnd("worker", { PORT: String(port), REDIS_URL: "127.0.0.1:1" });
  assert.match(output, new RegExp(`cannot listen on port ${port}; PORT chooses another: Address already in use`));
});

test("--help documents every variable with its default", () => {
  const documented = {
    worker: ["PORT", "REDIS_URL", "PREFIX", "ROUNDS", "MAX_BODY", "ACCESS_LOG"],
    frontend: ["PORT", "REDIS_URL", "PROCESSOR_URL", "MAX_RATE", "CONTROL_TOKEN", "ALLOWED_ORIGINS"],
    watcher: [
      "PORT", "PROMETHEUS_URL", "KUBECONFIG", "NAMESPACE", "ROUTE_KIND", "ROUTE", "ROUTE_RULE", "LEASE", "POLICY", "INTERVAL", "SERIES", "UP_SERIES",
      "PRIMARY_CLUSTER", "BURST_CLUSTER", "PRIMARY_DESTINATION", "BURST_DESTINATION", "QUERY", "CLUSTERS_QUERY", "WINDOW", "STALE_AFTER", "BURST_ABOVE", "HOME_BELOW", "HOME_HOLD", "CAPACITY", "CAPACITY_SERVICE", "CAPACITY_QUERY", "BURST_READY_QUERY", "BURST_READY_URL", "BURST_STEP", "BURST_STEP_EVERY", "BURST_REQUESTS_PER_HOUR", "BURST_WEBHOOK_URL",
      "SPILL_HEADROOM", "SPILL_MAX", "SPILL_PROBE",
      "SPILL_STABILIZATION_WINDOW", "SPILL_TOLERANCE", "SPILL_STEP", "SPILL_STEP_EVERY", "SPILL_FLAP_BUDGET", "FALLBACK",
      "FALLBACK_AFTER", "UNHEALTHY_RATIO", "EJECTION_TIME", "TRIAL_PERCENT", "WRITES_PER_MINUTE", "DRY_RUN",
    ],
    local: ["PORT", "REDIS_URL", "REDIS_PORT", "PROMETHEUS_PORT", "KUBERNETES_PORT", "MESH_PORT", "FAKES_ONLY", "FAKE_POLICIES"],
  };
  const withoutDefault = [
    "REDIS_URL", "PROCESSOR_URL", "CONTROL_TOKEN", "ALLOWED_ORIGINS", "KUBECONFIG", "UP_SERIES", "QUERY", "CLUSTERS_QUERY", "WINDOW", "STALE_AFTER",
    "ROUTE_RULE", "LEASE", "CAPACITY_SERVICE", "CAPACITY_QUERY", "BURST_READY_QUERY", "BURST_READY_URL", "BURST_REQUESTS_PER_HOUR",
    "BURST_WEBHOOK_URL", "SPILL_STABILIZATION_WINDOW",
  ];
  for (const [program, variables] of Object.entries(documented)) {
    const help = execFileSync(path.join(binaries, program), ["--help"], {
      encoding: "utf8",
      env: {},
    });
    for (const variable of [...variables, "RUST_LOG", "LOG_FORMAT"]) {
      const at = help.indexOf(`[env: ${variable}`);
      assert.ok(at > 0, `${program} --help does not name ${variable}`);
      const rest = help.slice(at).split("\n\n")[0];
      if (!withoutDefault.includes(variable)) assert.match(rest, /\[default: /, `${program}: ${variable}`);
    }
  }
});

test("a program reads .env, and the environment overrides it", async () => {
  const stack = newStack();
  const [port, other] = [await freePort(), await freePort()];
  writeFileSync(path.join(stack.directory, ".env"), `PORT=${port}\nREDIS_URL=127.0.0.1:1\n`);
  stack.add(Process.ours("worker", {}, { cwd: stack.directory }));
  await eventually("the worker listens where .env says", () => answers(`http://127.0.0.1:${port}/`));
  stack.add(Process.ours("worker", { PORT: String(other) }, { cwd: stack.directory }));
  await eventually("the worker listens where its environment says", () => answers(`http://127.0.0.1:${other}/`));
  writeFileSync(path.join(stack.directory, ".env"), `PORT ${port}\n`);
  const { code, output } = await runToTheEnd("worker", {}, { cwd: stack.directory });
  assert.equal(output, ".env: line 1 is not of the form NAME=value\n");
  assert.equal(code, 2);
});

const requestWork = (port, text = "abc") =>
  fetch(`http://127.0.0.1:${port}/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ str: text }),
    signal: AbortSignal.timeout(10_000),
  });

test("the worker serves again whenever redis-server does", async () => {
  const stack = newStack();
  const [redisPort, port] = [await freePort(), await freePort()];
  let redis = await stack.redis(redisPort);
  await stack.worker(port, `127.0.0.1:${redisPort}`);
  await workerIsReady(port);
  const cli = (...args) => execFileSync("redis-cli", ["-p", String(redisPort), ...args], { encoding: "utf8" });
  assert.equal((await requestWork(port)).status, 200);

  for (let round = 0; round < 3; round += 1) {
    await redis.stop();
    const took = await secondsOf(async () => assert.equal((await requestWork(port)).status, 503));
    assert.ok(took < 1, `refused after ${took} s`);
    redis = await stack.redis(redisPort);
    assert.equal((await requestWork(port)).status, 200, "the worker publishes the next request");
  }

  cli("CLIENT", "KILL", "TYPE", "normal");
  assert.equal((await requestWork(port)).status, 200, "after a CLIENT KILL");

  redis.signal("SIGSTOP");
  const took = await secondsOf(async () => {
    const response = await requestWork(port);
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("retry-after"), "1");
  });
  assert.ok(took < 1.2, `refused after ${took} s`);
  redis.signal("SIGCONT");
  await eventually("the worker serves again", async () => (await requestWork(port)).status === 200, 3);
});

test("the worker uses a password, and TLS with rediss://", async () => {
  const stack = newStack();
  const [redisPort, tlsPort, plain, tls] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const file = (name) => path.join(stack.directory, name);
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
    "-keyout", file("key.pem"), "-out", file("cert.pem"),
  ], { stdio: "ignore" });
  await stack.redis(redisPort, [
    "--requirepass", "secret", "--tls-port", String(tlsPort), "--tls-cert-file", file("cert.pem"),
    "--tls-key-file", file("key.pem"), "--tls-ca-cert-file", file("cert.pem"), "--tls-auth-clients", "no",
  ]);
  await stack.worker(plain, `redis://:secret@127.0.0.1:${redisPort}`);
  await workerIsReady(plain);
  assert.equal((await requestWork(plain)).status, 200);
  await stack.worker(tls, `rediss://:secret@localhost:${tlsPort}`, { SSL_CERT_FILE: file("cert.pem") });
  await workerIsReady(tls);
  assert.equal((await requestWork(tls)).status, 200);
  const wrong = await stack.worker(await freePort(), `redis://:wrong@127.0.0.1:${redisPort}`);
  await eventually("the log says that the password is wrong", () => /redis: "WRONGPASS"/.test(wrong.output));
  assert.ok(!wrong.output.includes("wrong@"), "without the password itself");
});

test("SIGTERM makes a program unready, then ends it; a second signal or SIGINT ends it at once", async () => {
  const stack = newStack();
  const [redisPort, port] = [await freePort(), await freePort()];
  await stack.redis(redisPort);
  const start = () => stack.worker(port, `127.0.0.1:${redisPort}`);
  const ready = () => fetch(`http://127.0.0.1:${port}/_healthz`).then((response) => response.status);

  let worker = await start();
  await eventually("ready", async () => (await ready()) === 200);
  worker.signal("SIGTERM");
  await eventually("unready, but still serving", async () => (await ready()) === 503, 1);
  assert.equal((await requestWork(port)).status, 200);
  const took = await secondsOf(async () => assert.equal((await worker.ended).code, 0));
  assert.ok(took < 5, `ended after ${took} s`);

  worker = await start();
  worker.signal("SIGTERM");
  await eventually("the worker has received the signal", () => worker.output.includes("a second signal ends the process at once"));
  assert.ok((await secondsOf(() => worker.stop("SIGTERM"))) < 0.5);

  worker = await start();
  assert.ok((await secondsOf(() => worker.stop("SIGINT"))) < 1);
});

test("Ctrl-C ends the demo within 5 seconds", async () => {
  const stack = newStack();
  const demo = stack.add(Process.ours("local", { PORT: "0" }));
  await eventually("the demo prints its address", () => demo.output.includes("open http://localhost:"));
  const took = await secondsOf(async () => assert.equal((await demo.stop("SIGINT")).code, 0));
  assert.ok(took < 5, `ended after ${took} s`);
});

test("LOG_FORMAT=json logs one JSON object a line", async () => {
  const stack = newStack();
  const port = await freePort();
  const worker = await stack.worker(port, "127.0.0.1:1", { LOG_FORMAT: "json" });
  await eventually("the worker logs", () => worker.output.split("\n").length > 2);
  for (const line of worker.output.trim().split("\n")) assert.ok(JSON.parse(line).message, line);
});

test("package-lock.json files contain no download addresses", () => {
  for (const folder of ["crates/web-libraries", "e2e"]) {
    const lock = JSON.parse(readFileSync(path.join(root, folder, "package-lock.json"), "utf8"));
    const packages = Object.entries(lock.packages).filter(([name]) => name !== "");
    assert.ok(packages.length > 5);
    for (const [name, { resolved, integrity }] of packages) {
      assert.equal(resolved, undefined, name);
      assert.match(integrity, /^sha512-/, name);
    }
  }
});

test("ACCESS_LOG makes the worker log each request, a sample, or none", async () => {
  const stack = newStack();
  const redisPort = await freePort();
  await stack.redis(redisPort);
  const logOf = async (ACCESS_LOG, requests) => {
    const port = await freePort();
    const worker = await stack.worker(port, `127.0.0.1:${redisPort}`, { ACCESS_LOG, LOG_FORMAT: "json" }, `worker-log-${ACCESS_LOG}`);
    await workerIsReady(port);
    for (let index = 0; index < requests; index += 1) {
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-request-id": `id-${index}` },
        body: index === 1 ? "{}" : '{"str":"abc"}',
      });
      assert.equal(response.status, index === 1 ? 400 : 200);
    }
    // A busy machine writes the log later than it answers.
    await sleep(1000);
    return worker.output.trim().split("\n").map((line) => JSON.parse(line)).filter(({ target }) => target === "access");
  };
  const lines = await logOf("1000", 3);
  assert.deepEqual(lines.map(({ status }) => status), [200, 400, 200]);
  assert.deepEqual(lines.map(({ request_id: id }) => id), ["id-0", "id-1", "id-2"]);
  assert.ok(lines.every(({ took_us: us, unlogged }) => us > 0 && unlogged === 0), JSON.stringify(lines));
  const sample = await logOf("1", 50);
  assert.ok(sample.length >= 1 && sample.length < 10, `${sample.length} lines`);
  assert.deepEqual(await logOf("0", 3), []);
});
