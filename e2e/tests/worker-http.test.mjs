// The worker's limits: many connections, slow ones, large and malformed requests, and its shutdown under load.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { answers, freePort } from "../lib/network.mjs";
import { RedisProxy } from "../lib/redis-proxy.mjs";
import { Stack, workerIsReady } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";
import { WorkerLoad } from "../lib/worker-load.mjs";

const stack = new Stack();
let redisPort;
before(async () => {
  redisPort = await freePort();
  await stack.redis(redisPort);
});
after(() => stack.stop());

async function newWorker(redis = redisPort, env = {}) {
  const port = await freePort();
  const worker = await stack.worker(port, `127.0.0.1:${redis}`, { ACCESS_LOG: "0", ...env });
  await workerIsReady(port);
  return { worker, port };
}

/** Opens a connection and sends bytes. `received` holds what the worker answers; `closed` resolves to that text at the end. */
async function send(port, bytes = "") {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const received = { text: "" };
  socket.on("data", (data) => { received.text += data; });
  const closed = once(socket, "close").then(() => received.text);
  await once(socket, "connect");
  if (bytes) socket.write(bytes);
  return { socket, received, closed };
}

const body = '{"str":"abc"}';
const post = (extra = "") =>
  `POST / HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n${extra}content-length: ${body.length}\r\n\r\n${body}`;

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * share)];

/** Returns the p99 of 200 requests, in milliseconds. */
async function p99(port) {
  const times = [];
  for (let index = 0; index < 200; index += 1) {
    const start = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST", headers: { "content-type": "application/json" }, body, signal: AbortSignal.timeout(5000),
    });
    assert.equal(response.status, 200, await response.text());
    times.push(performance.now() - start);
  }
  return quantile(times, 0.99);
}

test("10,000 connections, 9,000 idle and 1,000 that send slowly, do not delay other requests", async (t) => {
  const { port, worker } = await newWorker();
  const alone = await p99(port);
  const connections = [];
  for (let index = 0; index < 10_000; index += 1) {
    const head = index < 1000 ? "POST / HTTP/1.1\r\nhost: w\r\nx-drip: " : "";
    connections.push(send(port, head));
    if (index % 200 === 199) await Promise.all(connections.slice(-200));
  }
  const open = await Promise.all(connections);
  const drip = setInterval(() => { for (const { socket } of open.slice(0, 1000)) socket.write("x"); }, 1000);
  // A failure leaves nothing that would keep the suite from ending.
  t.after(() => {
    clearInterval(drip);
    for (const { socket } of open) socket.destroy();
  });
  const crowded = await p99(port);
  const memory = Number(execFileSync("ps", ["-o", "rss=", "-p", String(worker.child.pid)], { encoding: "utf8" })) / 1024;
  console.log(`p99 ${alone.toFixed(1)} ms alone, ${crowded.toFixed(1)} ms among 10,000; ${Math.round(memory)} MiB`);
  assert.ok(crowded < alone + 100, `${crowded} ms instead of ${alone} ms`);
  assert.ok(memory < 500, `${memory} MiB`);
  await eventually("the worker closes all of them after 30 seconds", () => open.every(({ socket }) => socket.destroyed), 45);
  assert.ok((await p99(port)) < alone + 100);
});

test("the worker refuses large heads, and requests that could be read as two", async () => {
  const { port } = await newWorker();
  const refused = async (bytes, status) => {
    const { closed, socket } = await send(port, bytes);
    const text = await Promise.race([closed, sleep(5000, "still open")]);
    socket.destroy();
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), `${bytes.slice(0, 120)} was answered ${text.slice(0, 120)}`);
    assert.equal(text.match(/HTTP\/1\.1/g).length, 1, "and nothing after it is read");
  };
  await refused(`GET / HTTP/1.1\r\nhost: w\r\nx-large: ${"x".repeat(1 << 20)}\r\n\r\n`, 431);
  const smuggled = "GET /metrics HTTP/1.1\r\nhost: w\r\n\r\n";
  const head = "POST / HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n";
  await refused(`${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`, 400);
  await refused(`${head}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${smuggled}`, 400);
  await refused(`${head}content-length: 5\r\ncontent-length: 6\r\n\r\n12345${smuggled}`, 400);
  await refused(`${head}content-length: +5\r\n\r\n12345${smuggled}`, 400);
  await refused(`${head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`, 400);
  await refused(`${head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`, 400);
  await refused(`${head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`, 400);
  await refused(`${head}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n${smuggled}`, 400);
});

test("the worker answers each pipelined request once, in order", async () => {
  const { port } = await newWorker();
  const { received, socket } = await send(port, post().repeat(50) + post("connection: close\r\n"));
  await once(socket, "close");
  assert.equal(received.text.match(/HTTP\/1\.1 200 OK/g).length, 51);
});

test("long calculations: abandoned ones keep their place, and requests without a place get 503", async () => {
  const { port, worker } = await newWorker(redisPort, { ROUNDS: "300000" });
  const left = await Promise.all(Array.from({ length: 200 }, () => send(port, post())));
  await sleep(300);
  for (const { socket } of left) socket.destroy();
  const asked = Array.from({ length: 200 * availableParallelism() }, async () => {
    const { received, closed } = await send(port, post("connection: close\r\n"));
    await closed;
    return received.text;
  });
  await sleep(1000);
  const threads = readdirSync(`/proc/${worker.child.pid}/task`).length;
  // The runtime's threads, those that serve, those that compute, and one or two that resolve names or write.
  assert.ok(threads <= 3 * availableParallelism() + 5, `${threads} threads`);
  assert.ok(await answers(`http://127.0.0.1:${port}/_healthz`));
  const texts = await Promise.all(asked);
  const busy = texts.filter((text) => /^HTTP\/1\.1 503 .*all processors are busy; try again\n$/s.test(text));
  const done = texts.filter((text) => text.startsWith("HTTP/1.1 200 "));
  assert.ok(busy.length > 0 && done.length > 0, `${busy.length} refused, ${done.length} done`);
  assert.equal(busy.length + done.length, texts.length);
});

test("a worker without file descriptors accepts again when it has some", async () => {
  const { port, worker } = await newWorker();
  const limit = (files) => execFileSync("prlimit", ["--pid", String(worker.child.pid), `--nofile=${files}:4096`]);
  limit(40);
  const connections = await Promise.all(Array.from({ length: 100 }, () => send(port)));
  await eventually("the worker logs it", () => worker.output.includes("cannot accept connections"));
  assert.equal(worker.output.match(/cannot accept connections/g).length, 1, "once");
  for (const { socket } of connections) socket.destroy();
  await eventually("the worker accepts again", () => answers(`http://127.0.0.1:${port}/_healthz`), 5);
});

test("SIGTERM under load: unready, then drained, and every published message is answered", async () => {
  const proxyPort = await freePort();
  const proxy = await RedisProxy.start(proxyPort, redisPort);
  stack.add(proxy);
  const { port, worker } = await newWorker(proxyPort);
  const load = new WorkerLoad(port);
  await load.reaches(3000);
  worker.signal("SIGTERM");
  const start = performance.now();
  await eventually("the worker is unready", async () => (await fetch(`http://127.0.0.1:${port}/_healthz`)).status === 503, 1);
  const { code } = await worker.ended;
  const took = performance.now() - start;
  await load.stop();
  assert.equal(code, 0);
  assert.ok(took < 8000, `it took ${took} ms`);
  const answered = load.requests.filter(({ status }) => status === 200).map(({ message }) => message);
  const isAnswered = new Set(answered);
  for (const message of answered) assert.ok(proxy.taken.has(message), `${message} was answered 200 and is lost`);
  const unanswered = [...proxy.sent.keys()].filter((message) => !isAnswered.has(message));
  assert.deepEqual(unanswered, [], "published, but not answered");
});

test("SIGTERM under load behind a proxy of connections: the other worker takes over, and no request fails", { timeout: 120_000 }, async () => {
  const workers = [await newWorker(), await newWorker()];
  const proxyPort = await freePort();
  // Each connection reaches the first worker that accepts it. The proxy knows nothing of requests.
  const proxy = createServer({ allowHalfOpen: true }, (client) => {
    const reach = ([{ port }, ...others]) => {
      const worker = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      worker.once("connect", () => client.pipe(worker).pipe(client));
      worker.on("error", () => (worker.bytesWritten === 0 && others.length > 0 ? reach(others) : client.destroy()));
      client.on("error", () => worker.destroy());
    };
    reach(workers);
  }).listen(proxyPort, "127.0.0.1");
  await once(proxy, "listening");
  stack.add({ stop: () => proxy.close() });
  const load = new WorkerLoad(proxyPort);
  await load.reaches(3000);
  workers[0].worker.signal("SIGTERM");
  const { code } = await workers[0].worker.ended;
  assert.equal(code, 0);
  await load.reaches(load.requests.length + 1000);
  await load.stop();
  const failed = load.requests.filter(({ status }) => status !== 200);
  console.log(`${load.requests.length} requests, ${failed.length} failed: ${JSON.stringify(failed.slice(0, 3))}`);
  assert.deepEqual(failed, []);
});
