// The edges of the programs: early answers and idle connections behind a real Envoy, a system that is set to IPv6 only.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { LEFT_OUT, binaries } from "../lib/environment.mjs";
import { startEnvoy } from "../lib/envoy.mjs";
import { freePort } from "../lib/network.mjs";
import { Process } from "../lib/process.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";

const needsEnvoy = { skip: LEFT_OUT.has("lab") && "Envoy is left out with the lab" };
const needsNamespaces = { skip: LEFT_OUT.has("namespaces") && "namespaces are left out" };
const CLIENTS = 20;

const stack = new Stack();
let redisPort;
let workerPort;
before(async () => {
  [redisPort, workerPort] = [await freePort(), await freePort()];
  await stack.redis(redisPort);
  await stack.worker(workerPort, `127.0.0.1:${redisPort}`, { ACCESS_LOG: "0" });
});
after(() => stack.stop());

/** Writes a whole request before it reads, or while it reads; returns the status, or how the connection ended without one. */
async function send(port, head, length, { readsAtOnce = false } = {}) {
  const socket = connect(port, "127.0.0.1");
  let error;
  let text = "";
  socket.on("error", (reason) => { error = reason; });
  socket.on("data", (data) => { text += data; });
  if (!readsAtOnce) socket.pause();
  await once(socket, "connect");
  socket.write(`${head}content-length: ${length}\r\n\r\n`);
  const piece = Buffer.alloc(64 * 1024, "a");
  for (let left = length; left > 0 && !error && !text; left -= piece.length) {
    if (!socket.write(piece.subarray(0, Math.min(left, piece.length)))) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
  }
  socket.resume();
  await Promise.race([eventually("an answer", () => text.includes("\r\n\r\n") || error, 20).catch(() => {}), once(socket, "close").catch(() => {})]);
  socket.destroy();
  return /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? String(error ?? "closed");
}

const post = (type) => `POST / HTTP/1.1\r\nhost: w\r\ncontent-type: ${type}\r\n`;
const CASES = [
  ["too large", post("application/json"), "413"],
  ["another type", post("text/plain"), "415"],
  ["another path", "POST /nope HTTP/1.1\r\nhost: w\r\n", "404"],
  ["another method", "PUT / HTTP/1.1\r\nhost: w\r\n", "405"],
];

for (const megabytes of [1, 5]) {
  test(`each of ${CLIENTS} clients that write ${megabytes} MB before they read gets its answer`, { timeout: 120_000 }, async () => {
    for (const [name, head, status] of CASES) {
      const answers = await Promise.all(Array.from({ length: CLIENTS }, () => send(workerPort, head, megabytes * 1_000_000)));
      assert.deepEqual(answers, Array(CLIENTS).fill(status), name);
    }
  });

  test(`an early answer to ${megabytes} MB passes a real Envoy`, { ...needsEnvoy, timeout: 120_000 }, async () => {
    const port = await freePort();
    const envoy = await startEnvoy(stack, port, workerPort);
    // Envoy itself resets a connection some time after an early answer, so a client that reads only then may lose it.
    for (const [name, head, status] of CASES) {
      const answers = await Promise.all(Array.from({ length: CLIENTS }, () => send(port, head, megabytes * 1_000_000, { readsAtOnce: true })));
      assert.deepEqual(answers, Array(CLIENTS).fill(status), name);
    }
    await envoy.stop();
  });
}

test("requests 31 s apart through a real Envoy are all answered", { ...needsEnvoy, timeout: 120_000 }, async () => {
  const port = await freePort();
  const envoy = await startEnvoy(stack, port, workerPort);
  const statuses = new Map();
  const round = () => Promise.all(Array.from({ length: 100 }, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST", headers: { "content-type": "application/json" }, body: '{"str":"a"}', signal: AbortSignal.timeout(5000),
    });
    await response.text();
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
  }));
  // The connections are opened at slightly different times, and each is tried around the thirtieth second.
  await round();
  for (let part = 0; part < 4; part += 1) {
    await sleep(part === 0 ? 29_900 : 100);
    await round();
  }
  assert.deepEqual([...statuses], [[200, 500]]);
  await envoy.stop();
});

test("where the system is set to IPv6 only, the programs listen for IPv4, too", needsNamespaces, async () => {
  const script = `ip link set lo up && echo 1 >/proc/sys/net/ipv6/bindv6only || exit 9
    PORT=8081 REDIS_URL=127.0.0.1:6379 "$1" &
    statuses=$(for host in 127.0.0.1 '[::1]'; do curl -s --retry 30 --retry-delay 1 --retry-connrefused -o /dev/null -w '%{http_code} ' "http://$host:8081/"; done)
    echo "statuses: $statuses"
    kill %1`;
  const shell = stack.add(new Process("ipv6", "unshare", ["--map-root-user", "--net", "--mount-proc", "--pid", "--fork", "bash", "-c", script, "bash", path.join(binaries, "worker")]));
  await eventually("both are asked", () => /statuses: /.test(shell.output), 40);
  assert.match(shell.output, /statuses: 200 200 /);
});
