// The page for everybody who uses it: its controls, its states, every width and both colour schemes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";

import { launch } from "../chromium.mjs";
import { Page } from "../page.mjs";
import { LEFT_OUT, Stack, demo, eventually, freePort, out } from "../support.mjs";

const skip = LEFT_OUT.has("chromium") && "chromium is left out";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let stack;
let browser;
let visitor;

before(async () => {
  if (skip) return;
  stack = await demo();
  browser = await launch();
  visitor = await Page.open(browser, stack.pageUrl);
  await visitor.shows("#state", /^Connected/);
});
after(async () => {
  assert.deepEqual(visitor?.errors, skip ? undefined : []);
  await browser?.close();
  await stack?.stop();
});

const isPressed = (frequency) => visitor.page.locator(`[data-freq="${frequency}"]`).getAttribute("aria-pressed");

test("buttons, slider and keys ask for a frequency too", { skip }, async () => {
  const { page } = visitor;
  await page.getByRole("button", { name: "12", exact: true }).click();
  await visitor.shows("#asked", "12");
  assert.equal(await isPressed(12), "true");
  assert.equal(await isPressed(5), "false");
  const slider = page.getByRole("slider", { name: "Frequency" });
  assert.equal(await slider.getAttribute("aria-valuetext"), "12 per second");
  await slider.press("ArrowRight");
  await visitor.shows("#asked", "15");
  assert.equal(await isPressed(12), "false");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await visitor.shows("#asked", "0");
  await visitor.shows("#state", /^Stopped/);

  await page.locator("#frequency").focus();
  const order = [];
  for (let stop = 0; stop < 8; stop += 1) {
    order.push(await page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id));
    await page.keyboard.press("Tab");
  }
  assert.deepEqual(order, ["frequency", "Ask", "Stop", "5", "12", "20", "100", "Play the story"]);
});

test("the watcher's side is told: what it sees, what it goes by, what it has done, and that it is away", { skip, timeout: 120_000 }, async () => {
  await visitor.shows("#watcher-state", /^home/);
  await visitor.shows("#watcher-rule", "burst above 15 /s, home below 10 /s");
  await visitor.enter("20");
  await visitor.shows("#watcher-state", "burst", 20);
  await visitor.shows("#watcher-rate", /^(1[6-9]|2\d)\.\d \/s$/);
  await visitor.shows("#burst-weight", "100 %");
  assert.match((await visitor.page.locator("#decisions li").allTextContents()).join("\n"), /\d\d:\d\d:\d\d +all to burst: \d+\.\d\/s is above 15\/s/);
  assert.ok(await visitor.page.locator("#key-thresholds").isVisible());
  await eventually("the picture is described", async () => /from primary and 20 from burst/.test(await visitor.page.locator("#plot").getAttribute("aria-label")));

  await stack.watcher.stop();
  await visitor.shows("#watcher-text", "The watcher does not answer: no connection");
  await visitor.shows("#watcher-state", "unknown");
  assert.equal(await visitor.page.locator("#watcher-known").isVisible(), false);
  assert.equal(await visitor.page.locator("#key-thresholds").isVisible(), false);
  await stack.startWatcher();
  await visitor.shows("#watcher-state", "burst", 20);
});

test("in both colour schemes and at three widths, axe finds nothing and nothing is cut off", { skip, timeout: 120_000 }, async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 768, 1920]) {
      const one = await Page.open(browser, stack.pageUrl, { colorScheme, viewport: { width, height: 900 } });
      const where = `${colorScheme}, ${width} px`;
      await one.shows("#watcher-state", "burst");
      await one.comesTo(true, 10);
      await one.page.screenshot({ path: path.join(out, `page-${colorScheme}-${width}.png`) });
      assert.equal(await one.page.evaluate(() => document.documentElement.dataset.bsTheme), colorScheme);
      const overflow = await one.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${where}: ${overflow} px too wide`);
      // By the debugger, which the page's policy does not bind.
      await one.page.evaluate(axe);
      const { violations } = await one.page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), [], where);
      assert.deepEqual(one.errors, [], where);
      await one.close();
    }
  }
});

test("a page that is opened again has all in its cache, and nothing jumps as it comes", { skip }, async () => {
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
    let sum = 0;
    new PerformanceObserver((list) => { for (const { value, hadRecentInput } of list.getEntries()) sum += hadRecentInput ? 0 : value; }).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(sum), 2000);
  }));
  assert.ok(shift < 0.1, String(shift));
  await context.close();
});

test("those who come later see who asked, and what was before them", { skip }, async () => {
  const history = browser.newPage().then(async (page) => {
    const answer = page.waitForResponse(`${stack.pageUrl}api/history.csv`);
    await page.goto(stack.pageUrl);
    assert.equal((await answer).status(), 200);
    return page;
  });
  const later = new Page(await history, stack.pageUrl);
  await later.shows("#asked-by", /^asked for by visitor 1, /);
  await visitor.shows("#asked-by", /^asked for by you, /);
  await visitor.shows("#stops-in", /^ends by itself in 14:\d\d$/);
  await later.close();
});

test("the story is played to its end, and stopped by a key, and by somebody else", { skip, timeout: 240_000 }, async () => {
  const { page } = visitor;
  const play = page.getByRole("button", { name: "Play the story" });
  await play.click();
  await visitor.shows("#act", /^1 of 4\. Five a second/);
  await visitor.shows("#act", /^2 of 4\. Twenty/, 90);
  await visitor.shows("#act", /^3 of 4\. Forty/, 60);
  await visitor.comesTo(true, 1);
  await visitor.shows("#act", /^4 of 4\. Five again/, 60);
  await visitor.shows("#act", /^The end/, 90);
  await visitor.comesTo(false, 1);
  assert.equal(await visitor.text("#failed"), "0");

  await play.click();
  await visitor.shows("#act", /^1 of 4/);
  await page.keyboard.press("Escape");
  await visitor.shows("#act", "The story was stopped.");
  await visitor.shows("#asked", "5");

  await play.press("Enter");
  await visitor.shows("#act", /^1 of 4/);
  const other = await Page.open(browser, stack.pageUrl);
  await other.shows("#asked", "5");
  await other.enter("3");
  await visitor.shows("#act", /somebody asked for another frequency/);
  await other.close();
});

test("a browser without WebSockets gets the page to work, too", { skip }, async () => {
  const page = await browser.newPage();
  await page.addInitScript(() => { delete globalThis.WebSocket; });
  await page.goto(stack.pageUrl);
  const polling = new Page(page, stack.pageUrl);
  await polling.enter("4");
  await polling.shows("#asked", "4");
  await eventually("it is shown hashes", async () => (await polling.hashes()).length > 4);
  await polling.close();
});

test("a page that cannot connect says so", { skip }, async () => {
  const page = await browser.newPage();
  await page.route("**/socket.io/?*", (route) => route.abort());
  await page.goto(stack.pageUrl);
  await new Page(page, stack.pageUrl).shows("#state", "No connection, trying again…");
  await page.close();
});

test("a frontend that knows no watcher says so, and shows what it sees itself", { skip }, async () => {
  const port = await freePort();
  const alone = new Stack();
  try {
    await alone.frontend(port, `127.0.0.1:${stack.ports.redis}`, `http://127.0.0.1:${stack.ports.mesh}`);
    const one = await Page.open(browser, `http://127.0.0.1:${port}/`);
    await one.shows("#watcher-text", /has not been told where the watcher is: WATCHER_URL/);
    await one.enter("5");
    await one.comesTo(false, 10);
    await one.shows("#primary-share", "100 %");
    await one.close();
  } finally {
    await alone.stop();
  }
});
