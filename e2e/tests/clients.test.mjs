// The official socket.io clients over both transports: the newest one, and the one of 2018.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { io as io4 } from "socket.io-client";
import io2 from "socket.io-client-2";

import { freePort } from "../lib/network.mjs";
import { BURST_PREFIX } from "../lib/results.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";

const stack = new Stack();
let url;

before(async () => {
  const [redis, worker, page] = [await freePort(), await freePort(), await freePort()];
  await stack.redis(redis);
  await stack.worker(worker, `127.0.0.1:${redis}`, { PREFIX: BURST_PREFIX });
  await stack.frontend(page, `redis://127.0.0.1:${redis}`, `http://127.0.0.1:${worker}`);
  url = `http://127.0.0.1:${page}`;
});
after(() => stack.stop());

for (const [version, io] of [[4, io4], [2, io2]]) {
  for (const transport of ["websocket", "polling"]) {
    test(`client ${version} over ${transport} drives the load and receives results`, async () => {
      const socket = io(url, { transports: [transport], forceNew: true });
      const received = { calculation: [], stats: [], refused: [] };
      for (const [event, list] of Object.entries(received)) socket.on(event, (value) => list.push(value));
      await eventually("the client connects", () => socket.connected);

      const request = (payload) => new Promise((resolve) => { socket.emit("frequency", payload, resolve); });
      assert.deepEqual(await request({ freq: "20" }), { freq: 20 });
      await eventually("results arrive", () => received.calculation.length > 20);
      assert.match(received.calculation[0], /^bursty-[A-Za-z0-9+/]{43}=$/);
      await eventually("statistics arrive", () => received.stats.at(-1)?.freq === 20);

      const refusal = await request({ freq: "fast" });
      assert.match(refusal.error, /accepted: 0 to stop, or 0.01 to 1000 requests per second/);
      socket.emit("frequency");
      await eventually("a request without acknowledgement is refused by an event", () => received.refused.length === 2);

      socket.emit("frequency", { freq: 0 });
      await eventually("the load ends", () => received.stats.at(-1).freq === 0);
      socket.disconnect();
    });
  }
}

test("a visitor who leaves is no longer counted", async () => {
  const staying = io4(url, { forceNew: true });
  let viewers;
  staying.on("stats", (stats) => { viewers = stats.viewers; });
  const leaving = io4(url, { forceNew: true });
  await eventually("both are counted", () => viewers === 2);
  leaving.disconnect();
  await eventually("one is counted", () => viewers === 1);
  staying.disconnect();
});
