// Measures the page itself in Chromium (its tab's process; what it has of its own is without the files that all processes share), with the demo behind it and a thousand results a second before it.

import { setTimeout as sleep } from "node:timers/promises";

import { launch } from "../chromium.mjs";
import { Page } from "../page.mjs";
import { demo } from "../support.mjs";
import { table, usage } from "./measure.mjs";

const RATE = 1000;
const [minutes = 60] = process.argv.slice(2).map(Number);

const stack = await demo();
const browser = await launch();
const visitor = await Page.open(browser, stack.pageUrl, { viewport: { width: 1920, height: 1080 } });
await visitor.enter(String(RATE));
await visitor.shows("#asked", String(RATE));

/** The tab's process: the renderer that has worked most. */
async function tab() {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.filter(({ type }) => type === "renderer").sort((a, b) => b.cpuTime - a.cpuTime)[0].id;
}

// Until it has loaded, and its picture is there.
await sleep(10_000);
const pid = await tab();
const session = await visitor.page.context().newCDPSession(visitor.page);
const heap = async () => (await session.send("Runtime.getHeapUsage")).usedSize / 2 ** 20;
const rows = [];
let before = usage(pid);
for (let minute = 1; minute <= minutes; minute += 1) {
  await sleep(60_000);
  // Load would end by itself after a quarter of an hour.
  if (minute % 10 === 0) await visitor.enter(String(RATE));
  const now = usage(pid);
  if (minute === 1 || minute % 5 === 0) {
    rows.push([`${minute} min`, {
      "memory of its own, MiB": now.ownMib,
      "heap, MiB": await heap(),
      "processor time, % of a core": ((now.seconds - before.seconds) / 60) * 100,
      hashes: (await visitor.hashes()).length,
      elements: await visitor.page.evaluate(() => document.querySelectorAll("*").length),
    }]);
    console.error(JSON.stringify(rows.at(-1)));
  }
  before = now;
}
table(`the tab at ${RATE}/s`, Object.keys(rows[0][1]), rows);
await browser.close();
await stack.stop();
const isOver = ([, cells]) => cells["memory of its own, MiB"] > 200 || cells["processor time, % of a core"] > 30;
if (rows.some(isOver)) {
  console.error("bench: it is to be under 200 MiB and 30 % of a core");
  process.exitCode = 1;
}
