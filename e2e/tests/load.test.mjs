// The load as a process: it is frozen, and it is ended early.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";

import { binaries } from "../lib/environment.mjs";
import { freePort, listens } from "../lib/network.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";

const stack = new Stack();
after(() => stack.stop());

function run(program, ...args) {
  const child = spawn(`${binaries}/${program}`, args.map(String), { stdio: ["ignore", "pipe", "ignore"] });
  stack.add({ stop: async () => child.kill("SIGKILL") });
  let output = "";
  child.stdout.on("data", (data) => { output += data; });
  return { child, ended: once(child, "close").then(() => JSON.parse(output)) };
}

const failures = (ledger) => Object.values(ledger.failed).reduce((sum, count) => sum + count, 0);

function checkAddsUp(ledger) {
  assert.equal(ledger.planned, ledger.sent + ledger.missed + ledger.shed);
  assert.equal(ledger.sent, ledger.answered + failures(ledger) + ledger.in_flight);
}

test("the load counts the requests of a frozen second as missed, and does not send them later", async () => {
  const port = await freePort();
  const sink = run("sink", "--port", port, "--rate", 1000);
  await eventually("the sink listens", () => listens(port));
  const load = run("load", "--url", `http://127.0.0.1:${port}`, "--rate", 1000, "--for", "5s", "--json");
  await sleep(2000);
  load.child.kill("SIGSTOP");
  await sleep(1000);
  load.child.kill("SIGCONT");
  const { ledger } = await load.ended;
  sink.child.kill("SIGINT");
  const arrivals = await sink.ended;
  checkAddsUp(ledger);
  assert.ok(ledger.missed >= 800, JSON.stringify(ledger));
  assert.ok(Math.abs(ledger.planned - 5000) <= 200, JSON.stringify(ledger));
  // Up to twice the rate, and what a busy machine delays on the way.
  assert.ok(arrivals.most_in_100_ms <= 300, JSON.stringify(arrivals));
  assert.equal(arrivals.requests, ledger.sent);
});

test("Ctrl-C ends a load early, and the load prints its ledger", async () => {
  const port = await freePort();
  const sink = run("sink", "--port", port, "--rate", 200, "--delay", "300ms");
  await eventually("the sink listens", () => listens(port));
  const load = run("load", "--url", `http://127.0.0.1:${port}`, "--rate", 200, "--for", "1h", "--json");
  await sleep(2000);
  load.child.kill("SIGINT");
  const { ledger } = await load.ended;
  sink.child.kill("SIGINT");
  checkAddsUp(ledger);
  assert.equal(ledger.in_flight, 0);
  assert.ok(ledger.answered > 200, JSON.stringify(ledger));
  assert.equal((await sink.ended).requests, ledger.sent);
});

test("SIGTERM under load: the requests in flight are answered, and the ledger adds up", async () => {
  const [redis, port, page] = [await freePort(), await freePort(), await freePort()];
  await stack.redis(redis);
  const sink = run("sink", "--port", port, "--rate", 200, "--delay", "300ms");
  const frontend = await stack.frontend(page, `127.0.0.1:${redis}`, `http://127.0.0.1:${port}`);
  const browser = io(`http://127.0.0.1:${page}`, { transports: ["websocket"], reconnection: false });
  await browser.timeout(5000).emitWithAck("frequency", { freq: 200 });
  await eventually("there is load", async () => {
    const { ledger } = await (await fetch(`http://127.0.0.1:${page}/api/stats`)).json();
    return ledger.answered > 200 && ledger.in_flight > 20;
  });
  frontend.signal("SIGTERM");
  const { code } = await frontend.ended;
  assert.equal(code, 0);
  const ledger = JSON.parse(frontend.output.match(/the load has ended ledger=(\{.*\})/)[1]);
  checkAddsUp(ledger);
  assert.equal(ledger.in_flight, 0);
  sink.child.kill("SIGINT");
  assert.equal((await sink.ended).requests, ledger.sent);
  browser.close();
});
