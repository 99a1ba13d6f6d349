// The whole story in a real browser, with each program as a process of its own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";

import { launchChromium } from "../lib/chromium.mjs";
import { startDemo } from "../lib/demo.mjs";
import { LEFT_OUT, outputFolder } from "../lib/environment.mjs";
import { freePort } from "../lib/network.mjs";
import { Page } from "../lib/page.mjs";
import { clusterOf } from "../lib/results.mjs";
import { Stack } from "../lib/stack.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const skip = LEFT_OUT.has("chromium") && "chromium is left out";
let stack;
let browser;
let visitor;
let page;

before(async () => {
  if (skip) return;
  stack = await startDemo();
  browser = await launchChromium();
  visitor = await Page.open(browser, stack.pageUrl);
  page = visitor.page;
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

const hashes = () => visitor.hashes();
const text = (selector) => visitor.text(selector);
const enter = (frequency) => visitor.enter(frequency);
const receivesOnlyFrom = (cluster, seconds) => visitor.receivesOnlyFrom(cluster, seconds);

test("the page shows the words of 2018, and requests nothing from other servers", { skip }, async () => {
  assert.equal(await page.title(), "String Hashr");
  assert.match(await text("body"), /What’s the frequency\?/);
  assert.match(await text("body"), /The current hash values/);
  await eventually("the page is connected", async () => (await text("#state")).startsWith("Connected."));
  assert.deepEqual(visitor.foreign, []);
});

test("at 20/s the load bursts into the other cluster, and at 5/s it comes home", { skip, timeout: 120_000 }, async () => {
  await enter("5");
  await receivesOnlyFrom("primary", 15);
  await enter("20");
  const burst = await secondsOf(async () => {
    await eventually("the newest hashes are from burst", async () => clusterOf((await hashes())[6]) === "burst", 15);
    await receivesOnlyFrom("burst", 5);
  });
  await eventually("the page shows burst's share", async () => (await text("#burst-share")) === "100 %");
  await enter("5");
  const home = await secondsOf(() => receivesOnlyFrom("primary", 30));
  for (const move of ["from=primary 100, burst 0 to=primary 0, burst 100", "from=primary 0, burst 100 to=primary 100, burst 0"]) {
    const lines = stack.watcher.output.split("\n").filter((line) => line.includes(move));
    assert.equal(lines.length, 1, stack.watcher.output);
    assert.match(lines[0], /weights written: all traffic (to burst|home): .* rate=\d+\.\d+/);
  }
  console.log(`burst after ${burst.toFixed(1)} s, home after ${home.toFixed(1)} s`);
  assert.equal(await text("#failed"), "0");
});

test("an invalid frequency changes nothing, and the page says what is accepted", { skip }, async () => {
  const field = page.locator("#frequency");
  for (const wrong of ["-1", "1001", "", "1e9", "abc", "1,000", "1-", "NaN"]) {
    await field.fill("");
    await field.pressSequentially(wrong);
    await field.press("Enter");
    await eventually(`the page refuses ${wrong}`, () => page.locator("#refused").isVisible());
    assert.match(await text("#refused"), /accepted: 0 to stop, or 0.01 to 1000 requests per second/);
    assert.equal(await text("#requested"), "5");
    // Five changes a second are allowed.
    await page.waitForTimeout(250);
    await enter("5");
    // The page empties the field when the answer comes, and not while the next number is typed.
    await eventually("the page accepts 5", async () => (await field.inputValue()) === "" && page.locator("#refused").isHidden());
  }
});

test("a frequency is read as people type it", { skip }, async () => {
  for (const [typed, shown] of [["2,5", "2.5"], ["٢٠", "20"], ["5", "5"]]) {
    await enter(typed);
    await eventually(`${typed} is in force`, async () => (await text("#requested")) === shown);
    await page.waitForTimeout(250);
  }
});

test("a later visitor sees the rate in force", { skip }, async () => {
  const second = await browser.newPage();
  await second.goto(stack.pageUrl);
  await eventually("the later visitor sees 5", async () => (await second.locator("#requested").textContent()) === "5");
  await eventually("two are watching", async () => (await text("#viewers")) === "2");
  await second.close();
  await eventually("one is watching", async () => (await text("#viewers")) === "1");
});

test("the page shows HTML in a result as text", { skip }, async () => {
  const message = "<img src=x onerror=\"document.title='owned'\">";
  execFileSync("redis-cli", ["-p", String(stack.ports.redis), "PUBLISH", "calculation", message]);
  await eventually("the page shows the text", async () => (await hashes()).includes(message));
  assert.equal(await page.title(), "String Hashr");
});

test("the page says when Redis is away, and goes on when it is back", { skip }, async () => {
  await stack.redisServer.stop();
  await eventually("the page says so", async () => (await text("#state")).startsWith("Redis is away: "));
  await stack.redis(stack.ports.redis);
  await eventually("the page is live again", async () => (await text("#state")) === "Live");
  const newest = (await hashes())[0];
  await eventually("new hashes arrive", async () => (await hashes())[0] !== newest);
});

test("the page counts failures while the workers are away", { skip }, async () => {
  await Promise.all([stack.primary.stop(), stack.burst.stop()]);
  await eventually("the page says so", async () => /fail: .*503/.test(await text("#state")));
  assert.ok(Number(await text("#failed")) > 0);
  await stack.worker(stack.ports.primary, `127.0.0.1:${stack.ports.redis}`, {}, "worker-primary");
  await eventually("the page is live again", async () => (await text("#state")) === "Live");
});

test("the page says when the frontend is away, and lists at most 50 hashes", { skip }, async () => {
  await enter("100");
  await eventually("the rate is high", async () => Number(await text("#achieved")) > 90);
  assert.equal((await hashes()).length, 50);
  await stack.frontendProcess.stop();
  await eventually("the page says so", async () => /connection/i.test(await text("#state")));
  await stack.startFrontend();
  await eventually("the page is connected again, and says that the load has stopped", async () => /has restarted, and the load has stopped/.test(await text("#state")));
  assert.deepEqual(visitor.errors, []);
});

test("with a control token everybody may watch, and only its holders may set the rate", { skip }, async () => {
  const port = await freePort();
  const env = { CONTROL_TOKEN: "correct-horse" };
  const alone = new Stack();
  await alone.frontend(port, `127.0.0.1:${stack.ports.redis}`, `http://127.0.0.1:${stack.ports.primary}`, env);
  const guarded = await browser.newPage();
  await guarded.goto(`http://127.0.0.1:${port}`);
  await guarded.locator("#state", { hasText: "Connected" }).waitFor();
  const enterWithToken = async (token) => {
    await guarded.getByLabel("Control token").fill(token);
    await guarded.locator("#frequency").fill("3");
    await guarded.locator("#frequency").press("Enter");
  };
  const isRefused = async (reason) => {
    await guarded.locator("#refused", { hasText: reason }).waitFor();
    assert.equal(await guarded.locator("#requested").textContent(), "0");
  };
  await enterWithToken("");
  await isRefused("token: it is missing");
  await enterWithToken("wrong-horse");
  await isRefused("token: it is not the right one");
  await enterWithToken("correct-horse");
  await eventually("the rate is in force", async () => (await guarded.locator("#requested").textContent()) === "3");
  assert.equal(await guarded.locator("#refused").isVisible(), false);
  await guarded.screenshot({ path: path.join(outputFolder, "control-token.png") });
  await guarded.close();
  await alone.stop();
});
