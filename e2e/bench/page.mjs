// Measures the page in Chromium at a thousand results a second, with the demo behind it: the process of its tab. Its own memory
// does not include the files that all processes of Chromium share.

import { setTimeout as sleep } from "node:timers/promises";

import { launchChromium } from "../lib/chromium.mjs";
import { startDemo } from "../lib/demo.mjs";
import { Page } from "../lib/page.mjs";
import { table, usage } from "./measure.mjs";

const RATE = 1000;
const [minutes = 60] = process.argv.slice(2).map(Number);

const stack = await startDemo();
const browser = await launchChromium();
const visitor = await Page.open(browser, stack.pageUrl, { viewport: { width: 1920, height: 1080 } });
await visitor.enter(String(RATE));
await visitor.shows("#requested", String(RATE));

/** Returns the id of the tab's process: the renderer that has used the most processor time. */
async function tabProcess() {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.filter(({ type }) => type === "renderer").sort((a, b) => b.cpuTime - a.cpuTime)[0].id;
}

// By then the page has loaded and drawn its chart.
await sleep(10_000);
const pid = await tabProcess();
const session = await visitor.page.context().newCDPSession(visitor.page);
const heap = async () => (await session.send("Runtime.getHeapUsage")).usedSize / 2 ** 20;
const rows = [];
let before = usage(pid);
for (let minute = 1; minute <= minutes; minute += 1) {
  await sleep(60_000);
  // The load would end by itself after a quarter of an hour.
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
const exceedsLimits = ([, cells]) => cells["memory of its own, MiB"] > 200 || cells["processor time, % of a core"] > 30;
if (rows.some(exceedsLimits)) {
  console.error("bench: the page exceeds 200 MiB or 30 % of a core");
  process.exitCode = 1;
}
