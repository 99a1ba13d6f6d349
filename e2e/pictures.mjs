// Plays the demo, and takes the pictures of the page that the documents show. The one that moves comes first.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { launchChromium } from "./lib/chromium.mjs";
import { startDemo } from "./lib/demo.mjs";
import { root } from "./lib/environment.mjs";
import { Page } from "./lib/page.mjs";
import { makeReport, openReport } from "./lib/report.mjs";
import { clusterOf } from "./lib/results.mjs";
import { eventually } from "./lib/waiting.mjs";

/** The time between two frames of the moving picture, in milliseconds. */
const FRAME_TIME = 600;

/** The part of the page that the moving picture shows: without the figures at its end, so the file is small. */
const FRAME = { x: 0, y: 0, width: 1280, height: 700 };

/** For how long the last frame stays, in milliseconds. */
const LAST_FRAME_TIME = 3000;

const folder = path.join(root, "docs", "images");
const frames = mkdtempSync(path.join(tmpdir(), "pictures-"));
const stack = await startDemo();
const browser = await launchChromium();
const taken = [];

async function take(name, shown) {
  await shown.page.screenshot({ path: path.join(folder, `${name}.png`) });
  taken.push(`${name}.png`);
}

/** Takes frames of a page until `action` ends, and joins them to a picture that moves at the page's own speed. */
async function film(name, shown, action) {
  let isOver = false;
  const end = action().finally(() => { isOver = true; });
  const parts = [];
  while (!isOver) {
    const start = Date.now();
    const file = path.join(frames, `${parts.length}.png`);
    await shown.page.screenshot({ path: file, clip: FRAME });
    await shown.page.waitForTimeout(Math.max(0, start + FRAME_TIME - Date.now()));
    parts.push({ file, time: Date.now() - start });
  }
  await end;
  parts.at(-1).time = LAST_FRAME_TIME;
  const output = path.join(folder, `${name}.webp`);
  const inputs = parts.flatMap(({ file, time }) => ["-lossy", "-q", "40", "-m", "6", "-d", String(time), file]);
  execFileSync("img2webp", ["-loop", "0", "-kmin", "0", "-kmax", "0", ...inputs, "-o", output], { stdio: "ignore" });
  taken.push(`${name}.webp`);
}

try {
  const visitor = await Page.open(browser, stack.pageUrl, { deviceScaleFactor: 1 });
  await visitor.enter("5");
  await visitor.receivesOnlyFrom("primary", 15);
  await visitor.page.waitForTimeout(15_000);
  await take("home", visitor);
  await film("burst", visitor, async () => {
    await visitor.page.waitForTimeout(2000);
    await visitor.enter("20");
    await visitor.receivesOnlyFrom("burst", 40);
    await visitor.page.waitForTimeout(6000);
  });
  await visitor.page.waitForTimeout(14_000);
  await take("burst", visitor);
  for (const [name, options] of [
    ["burst-dark", { colorScheme: "dark", viewport: { width: 1920, height: 1080 } }],
    ["burst-phone", { viewport: { width: 360, height: 740 } }],
  ]) {
    const one = await Page.open(browser, stack.pageUrl, options);
    await one.receivesOnlyFrom("burst", 15);
    await take(name, one);
    await one.close();
  }
  await visitor.enter("2000");
  await visitor.page.locator("#refused").waitFor();
  await take("refused", visitor);
  await visitor.enter("5");
  await visitor.receivesOnlyFrom("primary", 60);
  await visitor.enter("20");
  await eventually("the newest hashes are from burst", async () => clusterOf((await visitor.hashes())[8]) === "burst", 40);
  await take("spilling", visitor);
  const report = await openReport(browser, makeReport(), { viewport: { width: 1000, height: 900 } });
  await take("report", report);
  await report.close();
  await stack.redisServer.stop();
  await visitor.shows("#state", /^Redis is away/);
  await visitor.page.waitForTimeout(2000);
  await take("redis-away", visitor);
  console.log(`docs/images: ${taken.join(", ")}`);
} finally {
  await browser.close();
  await stack.stop();
  rmSync(frames, { recursive: true });
}
