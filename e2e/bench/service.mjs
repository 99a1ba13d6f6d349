// Measures the frontend with a real Redis and a worker: with a crowd that watches, for a long time, and without visitors.

import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { io } from "socket.io-client";

import { freePort } from "../lib/network.mjs";
import { Stack } from "../lib/stack.mjs";
import { table, usage } from "./measure.mjs";

async function startService() {
  const stack = new Stack();
  const [redis, worker, page] = [await freePort(), await freePort(), await freePort()];
  const redisUrl = `127.0.0.1:${redis}`;
  await stack.redis(redis);
  await stack.worker(worker, redisUrl);
  const frontend = await stack.frontend(page, redisUrl, `http://127.0.0.1:${worker}`);
  const stats = async () => (await fetch(`http://127.0.0.1:${page}/api/stats`)).json();
  return { stack, page, stats, pid: frontend.child.pid };
}

const open = (page) => io(`http://127.0.0.1:${page}`, { transports: ["websocket"], forceNew: true });

const requestRate = (browser, freq) => browser.timeout(5000).emitWithAck("frequency", { freq });

/** Opens a browser's connection that says hello, and then reads nothing. */
async function openUnread(page) {
  const socket = connect(page, "127.0.0.1");
  await once(socket, "connect");
  const key = Buffer.alloc(16).toString("base64");
  socket.write(
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: 127.0.0.1:${page}\r\nupgrade: websocket\r\n` +
      `connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
  );
  // "40", in a frame masked with zeros.
  socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x34, 0x30]));
  await sleep(50);
  socket.pause();
  return socket;
}

async function crowd(browsers = 200, seconds = 60) {
  const { stack, page, stats, pid } = await startService();
  const watching = [];
  for (let index = 0; index < browsers; index += 1) {
    const browser = { socket: open(page), reports: 0, hashes: 0, longest: 0, last: undefined };
    browser.socket.on("stats", () => {
      const now = performance.now();
      if (browser.last) browser.longest = Math.max(browser.longest, now - browser.last);
      browser.last = now;
      browser.reports += 1;
    });
    browser.socket.on("calculation", () => { browser.hashes += 1; });
    watching.push(browser);
    if (index % 20 === 19) await sleep(100);
  }
  const silent = [];
  for (let index = 0; index < 10; index += 1) silent.push(await openUnread(page));
  await requestRate(watching[0].socket, 1000);
  await sleep(3000);
  for (const browser of watching) Object.assign(browser, { reports: 0, hashes: 0, longest: 0 });
  const [before, used] = [await stats(), usage(pid)];
  await sleep(seconds * 1000);
  const [after, usedThen] = [await stats(), usage(pid)];
  const perSecond = (name, aggregate) => aggregate(...watching.map((browser) => browser[name])) / seconds;
  table(`${browsers} browsers and 10 that read nothing, at 1000/s for ${seconds} s`, ["value"], [
    ["viewers at the beginning", { value: before.viewers }],
    ["viewers at the end", { value: after.viewers }],
    ["reports a second, the fewest of any browser", { value: perSecond("reports", Math.min) }],
    ["longest wait for a report, ms", { value: Math.max(...watching.map((browser) => browser.longest)) }],
    ["hashes a second, the fewest of any browser", { value: perSecond("hashes", Math.min) }],
    ["requests sent a second", { value: (after.ledger.sent - before.ledger.sent) / seconds }],
    ["missed and shed", { value: after.ledger.missed + after.ledger.shed - before.ledger.missed - before.ledger.shed }],
    ["results lost, doubled, dropped", { value: after.results.trips.lost + after.results.trips.doubled + after.results.dropped }],
    ["corrected p99, ms", { value: after.latencies.corrected.p99 }],
    ["lateness p99, ms", { value: after.latencies.lateness.p99 }],
    ["the frontend's processor time, % of a core", { value: ((usedThen.seconds - used.seconds) / seconds) * 100 }],
    ["its memory, MiB", { value: usedThen.mib }],
  ]);
  for (const socket of silent) socket.destroy();
  for (const { socket } of watching) socket.close();
  await stack.stop();
}

async function soak(minutes = 60, rate = 1000) {
  const { stack, page, stats, pid } = await startService();
  const browser = open(page);
  await requestRate(browser, rate);
  const rows = [];
  for (let minute = 0; minute <= minutes; minute += 1) {
    if (minute > 0) await sleep(60_000);
    // The load would end by itself after a quarter of an hour.
    if (minute % 10 === 0) await requestRate(browser, rate);
    const { ledger, latencies, results } = await stats();
    if (minute % 5 === 0 || minute === 1) {
      const { lost, doubled, foreign } = results.trips;
      rows.push([`${minute} min`, {
        "memory, MiB": usage(pid).mib,
        "CPU, s": usage(pid).seconds,
        sent: ledger.sent,
        missed: ledger.missed,
        shed: ledger.shed,
        failed: Object.values(ledger.failed).reduce((sum, count) => sum + count, 0),
        "lost, doubled, foreign": lost + doubled + foreign,
        "corrected p99, ms": latencies.corrected.p99,
      }]);
      console.error(JSON.stringify(rows.at(-1)));
    }
  }
  table(`${rate}/s`, Object.keys(rows[0][1]), rows);
  browser.close();
  await stack.stop();
}

async function idle(seconds = 60) {
  const { stack, pid } = await startService();
  await sleep(12_000);
  const before = usage(pid);
  await sleep(seconds * 1000);
  const after = usage(pid);
  table(`no visitors, ${seconds} s`, ["value"], [
    ["processor time, % of a core", { value: ((after.seconds - before.seconds) / seconds) * 100 }],
    ["memory, MiB", { value: after.mib }],
  ]);
  await stack.stop();
}

const [kind, ...numbers] = process.argv.slice(2);
await { crowd, soak, idle }[kind](...numbers.map(Number));
