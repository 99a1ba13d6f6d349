// The page for everybody who uses it: its controls, its states, its widths and both color schemes.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { launchChromium } from "../lib/chromium.mjs";
import { startDemo } from "../lib/demo.mjs";
import { LEFT_OUT, outputFolder } from "../lib/environment.mjs";
import { freePort } from "../lib/network.mjs";
import { Page } from "../lib/page.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually } from "../lib/waiting.mjs";

const skip = LEFT_OUT.has("chromium") && "chromium is left out";
let stack;
let browser;
let visitor;

before(async () => {
  if (skip) return;
  stack = await startDemo();
  browser = await launchChromium();
  visitor = await Page.open(browser, stack.pageUrl);
  await visitor.shows("#state", /^Connected/);
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

const isPressed = (frequency) => visitor.page.locator(`[data-freq="${frequency}"]`).getAttribute("aria-pressed");

test("buttons, slider and keys set the frequency, too", { skip }, async () => {
  const { page } = visitor;
  await page.getByRole("button", { name: "12", exact: true }).click();
  await visitor.shows("#requested", "12");
  assert.equal(await isPressed(12), "true");
  assert.equal(await isPressed(5), "false");
  const slider = page.getByRole("slider", { name: "Frequency" });
  assert.equal(await slider.getAttribute("aria-valuetext"), "12 per second");
  await slider.press("ArrowRight");
  await visitor.shows("#requested", "15");
  assert.equal(await isPressed(12), "false");
  // A key that is held down makes more changes than are allowed: the last position counts.
  for (let time = 0; time < 12; time += 1) await slider.press("ArrowLeft", { delay: 5 });
  await visitor.shows("#requested", "0");
  assert.equal(await page.locator("#refused").isVisible(), false);
  await page.getByRole("button", { name: "12", exact: true }).click();
  await visitor.shows("#requested", "12");
  assert.equal(await slider.getAttribute("aria-valuetext"), "12 per second");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await visitor.shows("#requested", "0");
  await visitor.shows("#state", /^Stopped/);

  await page.locator("#frequency").focus();
  const order = [];
  for (let stop = 0; stop < 8; stop += 1) {
    order.push(await page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id));
    await page.keyboard.press("Tab");
  }
  assert.deepEqual(order, ["frequency", "Set", "Stop", "5", "12", "20", "100", "Play the story"]);
});

test("the page shows what the watcher sees, its thresholds, its decisions, and when it is away", { skip, timeout: 120_000 }, async () => {
  await visitor.shows("#watcher-state", /^home/);
  await visitor.shows("#watcher-rule", "burst above 15 /s, home below 10 /s");
  await visitor.enter("20");
  await visitor.shows("#watcher-state", "burst", 20);
  await visitor.shows("#watcher-rate", /^(1[6-9]|2\d)\.\d \/s$/);
  await visitor.shows("#burst-weight", "100 %");
  assert.match((await visitor.page.locator("#decisions li").allTextContents()).join("\n"), /\d\d:\d\d:\d\d +all traffic to burst: \d+\.\d\/s ± \d+\.\d over \d+ s is above 15\/s/);
  assert.ok(await visitor.page.locator("#key-thresholds").isVisible());
  await eventually("the chart has a description", async () => /from primary and 20 from burst/.test(await visitor.page.locator("#plot").getAttribute("aria-label")));

  await stack.watcher.stop();
  await visitor.shows("#watcher-text", "No status from the watcher: no connection");
  await visitor.shows("#watcher-state", "unknown");
  assert.equal(await visitor.page.locator("#watcher-known").isVisible(), false);
  assert.deepEqual(await visitor.violations(), []);
  assert.equal(await visitor.page.locator("#key-thresholds").isVisible(), false);
  await stack.startWatcher();
  await visitor.shows("#watcher-state", "burst", 20);
});

test("in both color schemes and at three widths, axe finds nothing and nothing is cut off", { skip, timeout: 120_000 }, async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 768, 1920]) {
      const one = await Page.open(browser, stack.pageUrl, { colorScheme, viewport: { width, height: 900 } });
      const where = `${colorScheme}, ${width} px`;
      await one.shows("#watcher-state", "burst");
      await one.receivesOnlyFrom("burst", 10);
      await one.page.screenshot({ path: path.join(outputFolder, `page-${colorScheme}-${width}.png`) });
      assert.equal(await one.page.evaluate(() => document.documentElement.dataset.bsTheme), colorScheme);
      const overflow = await one.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${where}: ${overflow} px too wide`);
      assert.deepEqual(await one.violations(), [], where);
      assert.deepEqual(one.errors, [], where);
      await one.close();
    }
  }
});

test("a second visit loads all assets from the cache, and the layout does not shift", { skip }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(stack.pageUrl);
  await new Page(page, stack.pageUrl).shows("#state", /^(Live|Connected)/);
  await page.goto("about:blank");
  await page.goto(stack.pageUrl);
  await new Page(page, stack.pageUrl).shows("#state", /^(Live|Connected)/);
  const assets = await page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => name.includes("/assets/")).map(({ name, transferSize }) => [name, transferSize]));
  assert.ok(assets.length > 10, String(assets.length));
  assert.deepEqual(assets.filter(([, size]) => size !== 0), []);
  // Less than a tenth of the screen is what Lighthouse calls good (web.dev/articles/cls).
  const shift = await page.evaluate(() => new Promise((resolve) => {
    const shifts = [];
    new PerformanceObserver((list) => shifts.push(...list.getEntries().filter(({ hadRecentInput }) => !hadRecentInput))).observe({ type: "layout-shift", buffered: true });
    const what = ({ node }) => node?.id || node?.className || node?.nodeName;
    // The list of hashes moves on purpose.
    const isList = ({ sources }) => sources.every(({ node }) => (node?.closest ? node : node?.parentNode)?.closest("#hashes"));
    setTimeout(() => {
      const jumps = shifts.filter((entry) => !isList(entry));
      resolve({ sum: jumps.reduce((sum, { value }) => sum + value, 0), what: jumps.map(({ value, sources }) => [value, sources.map(what)]) });
    }, 2000);
  }));
  assert.ok(shift.sum < 0.1, JSON.stringify(shift));
  await context.close();
});

test("a later visitor sees who requested the rate, and the history", { skip }, async () => {
  // The load stops by itself a quarter of an hour after this.
  await visitor.enter("20");
  const history = browser.newPage().then(async (page) => {
    const answer = page.waitForResponse(`${stack.pageUrl}api/history.csv`);
    await page.goto(stack.pageUrl);
    assert.equal((await answer).status(), 200);
    return page;
  });
  const later = new Page(await history, stack.pageUrl);
  await later.shows("#requested-by", /^requested by visitor 1, /);
  await visitor.shows("#requested-by", /^requested by you, /);
  await visitor.shows("#stops-in", /^stops by itself in 14:\d\d$/);
  await later.close();
});

test("the story plays to its end, and a key or another visitor stops it", { skip, timeout: 240_000 }, async () => {
  const { page } = visitor;
  const play = page.getByRole("button", { name: "Play the story" });
  await play.click();
  await visitor.shows("#act", /^1 of 4: 5 a second/);
  await visitor.shows("#act", /^2 of 4: 20 a second/, 90);
  await visitor.shows("#act", /^3 of 4: 40 a second/, 60);
  assert.deepEqual(await visitor.violations(), []);
  await visitor.receivesOnlyFrom("burst", 1);
  await visitor.shows("#act", /^4 of 4: 5 again/, 60);
  await visitor.shows("#act", /^The end/, 90);
  await visitor.receivesOnlyFrom("primary", 1);
  assert.equal(await visitor.text("#failed"), "0");

  await play.click();
  await visitor.shows("#act", /^1 of 4/);
  // A key that scrolls is no input.
  await page.keyboard.press("PageDown");
  await page.keyboard.press("Escape");
  await visitor.shows("#act", /^The story stopped: you pressed a key\. Its frequency stays in force\./);
  await visitor.shows("#requested", "5");

  await play.press("Enter");
  await visitor.shows("#act", /^1 of 4/);
  const other = await Page.open(browser, stack.pageUrl);
  await other.shows("#requested", "5");
  await other.enter("3");
  await visitor.shows("#act", /^The story stopped: somebody requested another frequency\./);
  await other.close();
});

test("a screen reader speaks only changes, and a visitor can pause the list", { skip }, async () => {
  const { page } = visitor;
  const live = await page.locator("[aria-live], [role=status], [role=alert], output").evaluateAll((all) => all.map(({ id }) => id));
  assert.deepEqual(live, ["spoken", "refused", "act"]);
  await visitor.enter("20000");
  await visitor.shows("#refused", /^freq: "20000" is not accepted/);
  assert.deepEqual(await visitor.violations(), []);
  await visitor.enter("20");
  await visitor.shows("#spoken", /^(Live\. The watcher: \w+|The watcher: \w+\. Live)$/, 20);
  const pause = page.getByRole("button", { name: "Pause the list" });
  await pause.click();
  const pausedAt = await visitor.hashes();
  await page.waitForTimeout(1000);
  assert.deepEqual(await visitor.hashes(), pausedAt);
  await pause.click();
  await eventually("the list goes on", async () => (await visitor.hashes())[0] !== pausedAt[0]);
});

test("the page does not show a silent frontend as live", { skip }, async () => {
  await visitor.shows("#state", "Live");
  stack.frontendProcess.signal("SIGSTOP");
  await visitor.shows("#state", "The frontend is silent…");
  assert.equal(await visitor.text("#requested"), "–");
  stack.frontendProcess.signal("SIGCONT");
  await visitor.shows("#state", "Live", 20);
});

test("the page says when one of its parts does not load", { skip }, async () => {
  const page = await browser.newPage();
  await page.route("**/dom.js", (route) => route.fulfill({ status: 404 }));
  await page.goto(stack.pageUrl);
  await new Page(page, stack.pageUrl).shows("#state", "A part of this page could not be loaded. Reload it.");
  await page.close();
});

test("the page works in a browser without WebSockets", { skip }, async () => {
  const page = await browser.newPage();
  await page.addInitScript(() => { delete globalThis.WebSocket; });
  await page.goto(stack.pageUrl);
  const polling = new Page(page, stack.pageUrl);
  await polling.enter("4");
  await polling.shows("#requested", "4");
  await eventually("the page shows hashes", async () => (await polling.hashes()).length > 4);
  await polling.close();
});

test("a frequency that is entered before the page is connected is requested once it is", { skip }, async () => {
  const page = await browser.newPage();
  let connect;
  const mayConnect = new Promise((resolve) => { connect = resolve; });
  await page.route("**/socket.io/?*", async (route) => {
    await mayConnect;
    await route.continue();
  });
  await page.goto(stack.pageUrl);
  const early = new Page(page, stack.pageUrl);
  assert.equal(await early.text("#state"), "Connecting…");
  for (const frequency of ["1", "2", "3", "4", "5", "6"]) await early.enter(frequency);
  connect();
  await early.shows("#requested", "6");
  // Five changes a second are allowed, so the frontend would refuse the last of six.
  assert.equal(await page.locator("#refused").isVisible(), false);
  await early.close();
});

test("the page says when it cannot connect, and what is entered then is requested no more", { skip, timeout: 60_000 }, async () => {
  const page = await browser.newPage();
  await page.route("**/socket.io/?*", (route) => route.abort());
  await page.goto(stack.pageUrl);
  const unconnected = new Page(page, stack.pageUrl);
  await unconnected.shows("#state", "No connection, trying again…");
  await unconnected.enter("7");
  await unconnected.shows("#refused", "There is no connection to the frontend.");
  await page.unroute("**/socket.io/?*");
  await unconnected.shows("#state", /^(Live|Connected)/, 20);
  await sleep(1000);
  assert.notEqual(await unconnected.text("#requested"), "7");
  await unconnected.close();
});

test("without WATCHER_URL the page says so, and shows what the frontend sees itself", { skip }, async () => {
  const port = await freePort();
  const alone = new Stack();
  try {
    const frontend = await alone.frontend(port, `127.0.0.1:${stack.ports.redis}`, `http://127.0.0.1:${stack.ports.mesh}`);
    const one = await Page.open(browser, `http://127.0.0.1:${port}/`);
    await one.shows("#watcher-text", /does not know the watcher: WATCHER_URL is not set/);
    await one.enter("5");
    await one.shows("#primary-share", /^\d+ %$/);
    await eventually("the page shows a hash", async () => (await one.hashes()).length > 0);
    // What the frontend says of the watcher does not change, so it says that once for each connection.
    frontend.signal("SIGSTOP");
    await one.shows("#watcher-text", "The connection is lost.");
    frontend.signal("SIGCONT");
    await one.shows("#watcher-text", /WATCHER_URL is not set/);
    await one.close();
  } finally {
    await alone.stop();
  }
});

test("the page had no errors meanwhile", { skip }, () => {
  assert.deepEqual(visitor.errors, []);
});
