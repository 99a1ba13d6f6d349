// 200 means that Redis accepted the message. The tests count on both sides, through the faults of a real redis-server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";

import { LEFT_OUT, binaries } from "../lib/environment.mjs";
import { answers, freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { RedisProxy } from "../lib/redis-proxy.mjs";
import { stacksUntil, workerIsReady } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";
import { WorkerLoad, calculationOf, failuresByReason } from "../lib/worker-load.mjs";

const REQUESTS = 10_000;
const needsNamespaces = { skip: LEFT_OUT.has("namespaces") && "namespaces are left out" };

const newStack = stacksUntil(after);

/** Starts a redis-server, a proxy before it, a worker, and a load on the worker. */
async function startUnderLoad(env = {}) {
  const stack = newStack();
  const [redisPort, proxyPort, port] = [await freePort(), await freePort(), await freePort()];
  const parts = { stack, redisPort, port };
  parts.redis = await stack.redis(redisPort);
  parts.proxy = await RedisProxy.start(proxyPort, redisPort);
  stack.add(parts.proxy);
  parts.worker = await stack.worker(port, `127.0.0.1:${proxyPort}`, { ACCESS_LOG: "0", ...env });
  await workerIsReady(port);
  parts.cli = (...args) => execFileSync("redis-cli", ["-p", String(redisPort), ...args], { encoding: "utf8" }).trim();
  parts.load = new WorkerLoad(port);
  await parts.load.reaches(REQUESTS / 3);
  return parts;
}

/** Continues the load to ten thousand requests, compares both sides, and checks the reasons of the failures. */
async function checkToTheEnd({ load, proxy, port }, reasons) {
  await load.reaches(REQUESTS);
  await load.stop();
  load.checkAgainst(proxy);
  const failures = await failuresByReason(port);
  assert.equal(Object.values(failures).reduce((sum, count) => sum + count, 0), load.count(503), JSON.stringify(failures));
  for (const reason of Object.keys(failures)) assert.ok(reasons.includes(reason), JSON.stringify(failures));
}

async function checkBackWithinASecond(load) {
  const ms = await load.firstAnswer();
  assert.ok(ms < 1000, `the first 200 came after ${ms} ms`);
}

test("without a fault, each of ten thousand requests is answered 200, published once, and received", async () => {
  const parts = await startUnderLoad();
  const { stack, redisPort, load, port } = parts;
  const subscriber = stack.add(new Process("subscriber", "redis-cli", ["-p", String(redisPort), "SUBSCRIBE", "calculation"]));
  await eventually("the subscriber is subscribed", () => subscriber.output.includes("subscribe"));
  const from = load.requests.length;
  await checkToTheEnd(parts, []);
  assert.equal(load.count(200), load.requests.length);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const unheard = Number(metrics.match(/^worker_published_without_subscriber_total (\d+)$/m)[1]);
  assert.ok(unheard > REQUESTS / 3 - 64 && unheard < from + 64, `${unheard} with nobody subscribed, of ${from} before`);
  await eventually("the subscriber has received the rest", () => {
    const received = subscriber.output.match(/^[A-Za-z0-9+/]{43}=$/gm) ?? [];
    assert.equal(new Set(received).size, received.length, "one was received twice");
    return received.length === load.requests.length - unheard;
  });
});

test("redis-server is killed and started again", async () => {
  const parts = await startUnderLoad();
  for (let round = 0; round < 3; round += 1) {
    await parts.redis.stop();
    await sleep(1500);
    parts.redis = await parts.stack.redis(parts.redisPort);
    await checkBackWithinASecond(parts.load);
  }
  assert.ok(parts.load.count(503) > 0);
  await checkToTheEnd(parts, ["not_connected", "lost", "timeout"]);
});

test("the worker's connection is killed", async () => {
  const parts = await startUnderLoad();
  for (let round = 0; round < 10; round += 1) {
    parts.cli("CLIENT", "KILL", "TYPE", "normal");
    await checkBackWithinASecond(parts.load);
  }
  await checkToTheEnd(parts, ["not_connected", "lost"]);
});

for (const [name, pause, resume] of [
  ["CLIENT PAUSE", ({ cli }) => cli("CLIENT", "PAUSE", "5000"), () => {}],
  ["SIGSTOP", ({ redis }) => redis.signal("SIGSTOP"), ({ redis }) => redis.signal("SIGCONT")],
]) {
  test(`redis-server is paused for five seconds by ${name}`, async () => {
    const parts = await startUnderLoad();
    pause(parts);
    await sleep(5000);
    resume(parts);
    await checkBackWithinASecond(parts.load);
    assert.ok(parts.load.count(503) > 0);
    await checkToTheEnd(parts, ["not_connected", "lost", "timeout"]);
  });
}

test("redis-server is out of file descriptors", async () => {
  const parts = await startUnderLoad();
  const limit = (files) => execFileSync("prlimit", ["--pid", String(parts.redis.child.pid), `--nofile=${files}`]);
  limit("3:4096");
  for (const socket of parts.proxy.clients) socket.destroy();
  await sleep(2000);
  assert.equal(await answers(`http://127.0.0.1:${parts.port}/_healthz`), false);
  limit("4096:4096");
  await checkBackWithinASecond(parts.load);
  await checkToTheEnd(parts, ["not_connected", "lost"]);
});

test("Redis refuses messages: the worker counts each reason", async () => {
  const parts = await startUnderLoad();
  const refusals = {
    loading: "LOADING Redis is loading the dataset in memory",
    readonly: "READONLY You can't write against a read only replica.",
    noauth: "NOAUTH Authentication required.",
    oom: "OOM command not allowed when used memory > 'maxmemory'.",
    refused: "ERR something else",
  };
  const isCounted = (reason) => eventually(`${reason} is counted`, async () => (await failuresByReason(parts.port))[reason] > 0);
  for (const [reason, refusal] of Object.entries(refusals)) {
    parts.proxy.refusal = refusal;
    await isCounted(reason);
    parts.proxy.refusal = undefined;
    await checkBackWithinASecond(parts.load);
  }
  parts.cli("ACL", "SETUSER", "default", "-publish");
  await isCounted("noperm");
  parts.cli("ACL", "SETUSER", "default", "+publish");
  await checkBackWithinASecond(parts.load);
  // Redis refuses new connections from now on, and the worker logs why.
  const before = parts.worker.output.length;
  parts.cli("CONFIG", "SET", "requirepass", "secret");
  for (const socket of parts.proxy.clients) socket.destroy();
  await eventually("the worker logs why", () => /NOAUTH|authentication/i.test(parts.worker.output.slice(before)));
  parts.cli("-a", "secret", "--no-auth-warning", "CONFIG", "SET", "requirepass", "");
  await checkBackWithinASecond(parts.load);
  assert.match(parts.worker.output, /WARN .*redis refuses calculations: .*OOM/);
  assert.match(parts.worker.output, /INFO .*redis takes calculations again/);
  await checkToTheEnd(parts, [...Object.keys(refusals), "noperm", "not_connected", "lost"]);
});

test("redis-server fails over to another address behind the same name", needsNamespaces, async () => {
  const stack = newStack();
  const [port, name] = [await freePort(), await freePort()];
  const proxies = [];
  for (const address of ["127.0.0.2", "127.0.0.3"]) {
    const redisPort = await freePort();
    const redis = await stack.redis(redisPort);
    const proxy = await RedisProxy.start(name, redisPort, address);
    stack.add(proxy);
    proxies.push({ redis, proxy });
  }
  const hosts = path.join(stack.directory, "hosts");
  writeFileSync(hosts, "127.0.0.2 redis-cache-service\n");
  const env = { PORT: String(port), REDIS_URL: `redis-cache-service:${name}`, ACCESS_LOG: "0" };
  // Only this process sees the other /etc/hosts.
  stack.add(new Process("worker", "unshare", [
    "--map-root-user", "--mount", "sh", "-c", 'mount --bind "$1" /etc/hosts && exec "$2"', "sh", hosts, path.join(binaries, "worker"),
  ], env));
  await workerIsReady(port);
  const load = new WorkerLoad(port);
  await load.reaches(REQUESTS / 3);
  writeFileSync(hosts, "127.0.0.3 redis-cache-service\n");
  await proxies[0].redis.stop();
  await checkBackWithinASecond(load);
  await load.reaches(REQUESTS);
  await load.stop();
  load.checkAgainst(...proxies.map(({ proxy }) => proxy));
  assert.ok(proxies[1].proxy.taken.size > 0);
});

test("the network to Redis is cut without a reset", needsNamespaces, async () => {
  const stack = newStack();
  const port = await freePort();
  const network = `ib${process.pid % 100_000}`;
  const ip = (...args) => execFileSync("ip", args);
  ip("netns", "add", network);
  stack.add({ stop: async () => ip("netns", "del", network) });
  ip("link", "add", network, "type", "veth", "peer", "name", "redis", "netns", network);
  ip("addr", "add", "10.213.7.1/30", "dev", network);
  ip("link", "set", network, "up");
  const inside = (...args) => ip("netns", "exec", network, "ip", ...args);
  inside("addr", "add", "10.213.7.2/30", "dev", "redis");
  inside("link", "set", "redis", "up");
  const redis = stack.add(new Process("redis-server", "ip", [
    "netns", "exec", network, "redis-server", "--port", "6379", "--bind", "10.213.7.2", "--protected-mode", "no", "--save", "",
  ], {}, { cwd: stack.directory }));
  await eventually("redis-server listens", () => redis.output.includes("Ready to accept connections"));
  const worker = await stack.worker(port, "10.213.7.2:6379", { ACCESS_LOG: "0" });
  const healthy = () => answers(`http://127.0.0.1:${port}/_healthz`);
  await eventually("the worker is ready", healthy);
  const load = new WorkerLoad(port);
  await load.reaches(1000);
  inside("link", "set", "redis", "down");
  const cut = performance.now();
  await eventually("the worker is not ready", async () => !(await healthy()), 5);
  const noticed = performance.now() - cut;
  await sleep(3000);
  assert.match(worker.output, /redis: (silent for|.*(timed out|route))/);
  inside("link", "set", "redis", "up");
  await eventually("the worker is ready again", healthy, 5);
  await load.firstAnswer();
  await load.stop();
  console.log(`noticed after ${Math.round(noticed)} ms`);
  const slow = load.requests.filter(({ ms }) => ms > 1100);
  assert.ok(slow.length <= load.requests.length / 1000, `${slow.length} took more than a second`);
});

test("REDIS_URL can be an address with or without password and database, and nothing else", async () => {
  const stack = newStack();
  const redisPort = await freePort();
  const file = path.join(stack.directory, "redis.sock");
  await stack.redis(redisPort, ["--bind", "127.0.0.1", "::1", "--unixsocket", file]);
  const cli = (...args) => execFileSync("redis-cli", ["-p", String(redisPort), ...args], { encoding: "utf8" });
  cli("ACL", "SETUSER", "worker", "on", ">p@ss/word", "+publish", "+ping", "+hello", "+select", "&calculation");
  const secret = "p%40ss%2Fword";
  for (const url of [`[::1]:${redisPort}`, `redis://worker:${secret}@127.0.0.1:${redisPort}`, `redis://127.0.0.1:${redisPort}/3`]) {
    const port = await freePort();
    const worker = await stack.worker(port, url);
    const response = () => fetch(`http://127.0.0.1:${port}/`, {
      method: "POST", headers: { "content-type": "application/json" }, body: '{"str":"abc"}',
    });
    await eventually(`${url} works`, async () => (await response()).status === 200);
    assert.equal((await response()).headers.get("x-calculation"), calculationOf("abc"));
    assert.ok(!/p@ss|p%40ss/.test(worker.output), worker.output);
  }
  for (const [url, why] of [
    [`unix://${file}`, "unix:// is another protocol"],
    ["redis+unix:///tmp/redis.sock", "redis+unix:// is another protocol"],
    ["redis://127.0.0.1:6379/db3", "number of a database"],
  ]) {
    const refused = stack.add(Process.ours("worker", { REDIS_URL: url }));
    assert.equal((await refused.ended).code, 2);
    assert.match(refused.output, /^REDIS_URL: .*accepted: host:port/);
    assert.ok(refused.output.includes(why), refused.output);
  }
});

test("a Redis of three nodes, whose subscribers are at another node: every request is 200, every result arrives once", { timeout: 120_000 }, async () => {
  const stack = newStack();
  const ports = [];
  for (let node = 0; node < 3; node += 1) {
    const port = await freePort();
    ports.push(port);
    const folder = mkdtempSync(path.join(stack.directory, "node-"));
    stack.add(new Process(`redis-node-${node}`, "redis-server", [
      "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--cluster-enabled", "yes", "--cluster-port", String(await freePort()),
    ], {}, { cwd: folder }));
  }
  const health = (port) => {
    try {
      return execFileSync("redis-cli", ["-p", String(port), "CLUSTER", "INFO"], { encoding: "utf8", stdio: "pipe" });
    } catch {
      return "";
    }
  };
  await eventually("the nodes listen", () => ports.every((port) => /cluster_state/.test(health(port))), 30);
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  execFileSync("redis-cli", ["--cluster", "create", ...addresses, "--cluster-yes"], { stdio: "pipe" });
  await eventually("the cluster is whole", () => ports.every((port) => /cluster_state:ok/.test(health(port))), 30);

  const frontendPort = await freePort();
  const workerPort = await freePort();
  await stack.worker(workerPort, addresses[0], { ACCESS_LOG: "0" });
  await stack.frontend(frontendPort, addresses[1], `http://127.0.0.1:${workerPort}`);
  const url = `http://127.0.0.1:${frontendPort}`;
  const socket = io(url, { transports: ["websocket"], forceNew: true });
  await once(socket, "connect");
  await new Promise((resolve) => { socket.emit("frequency", { freq: 200 }, resolve); });
  await sleep(5000);
  await new Promise((resolve) => { socket.emit("frequency", { freq: 0 }, resolve); });
  await sleep(2000);
  socket.disconnect();
  const { ledger, results } = await (await fetch(`${url}/api/stats`)).json();
  const failed = Object.values(ledger.failed).reduce((sum, count) => sum + count, 0);
  assert.ok(ledger.answered > 900, String(ledger.answered));
  assert.deepEqual([failed, results.trips.lost, results.trips.doubled], [0, 0, 0]);
  assert.equal(results.trips.matched, ledger.answered);
});
