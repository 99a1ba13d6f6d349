// The whole story, in a real browser, with every program a process of its own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";

import { launch } from "../chromium.mjs";
import { Page } from "../page.mjs";
import { LEFT_OUT, Stack, demo, eventually, freePort, out, secondsOf } from "../support.mjs";

const skip = LEFT_OUT.has("chromium") && "chromium is left out";
let stack;
let browser;
let visitor;
let page;

before(async () => {
  if (skip) return;
  stack = await demo();
  browser = await launch();
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
const comesTo = (isBurst, seconds) => visitor.comesTo(isBurst, seconds);

test("the page shows the original's words, and asks nobody else for anything", { skip }, async () => {
  assert.equal(await page.title(), "String Hashr");
  assert.match(await text("body"), /What’s the frequency\?/);
  assert.match(await text("body"), /The current hash values/);
  await eventually("it is connected", async () => (await text("#state")).startsWith("Connected."));
  assert.deepEqual(visitor.foreign, []);
});

test("5, 20, 5: the load bursts into the other cluster and comes home", { skip, timeout: 120_000 }, async () => {
  await enter("5");
  await comesTo(false, 15);
  await enter("20");
  const burst = await secondsOf(async () => {
    await eventually("the first are bursty-", async () => (await hashes())[6].startsWith("bursty-"), 15);
    await comesTo(true, 5);
  });
  await eventually("the share is shown", async () => (await text("#burst-share")) === "100 %");
  await enter("5");
  const home = await secondsOf(() => comesTo(false, 30));
  for (const move of ["from=primary 100, burst 0 to=primary 0, burst 100", "from=primary 0, burst 100 to=primary 100, burst 0"]) {
    const lines = stack.watcher.output.split("\n").filter((line) => line.includes(move));
    assert.equal(lines.length, 1, stack.watcher.output);
    assert.match(lines[0], /weights written: all (to burst|home): .* rate=\d+\.\d+/);
  }
  console.log(`burst after ${burst.toFixed(1)} s, home after ${home.toFixed(1)} s`);
  assert.equal(await text("#failed"), "0");
});

test("what is no frequency changes nothing, and the page says what is accepted", { skip }, async () => {
  const field = page.locator("#frequency");
  for (const wrong of ["-1", "1001", "", "1e9", "abc", "0,5", "1-", "NaN"]) {
    await field.fill("");
    await field.pressSequentially(wrong);
    await field.press("Enter");
    await eventually(`${wrong} is refused`, () => page.locator("#refused").isVisible());
    assert.match(await text("#refused"), /accepted: 0 to stop, or 0.001 to 1000 requests per second/);
    assert.equal(await text("#asked"), "5");
    // Five changes a second are allowed.
    await page.waitForTimeout(250);
    await enter("5");
    await eventually("5 is accepted", () => page.locator("#refused").isHidden());
  }
});

test("a visitor who comes later sees the rate in force", { skip }, async () => {
  const second = await browser.newPage();
  await second.goto(stack.pageUrl);
  await eventually("it sees 5", async () => (await second.locator("#asked").textContent()) === "5");
  await eventually("two are watching", async () => (await text("#viewers")) === "2");
  await second.close();
  await eventually("one is watching", async () => (await text("#viewers")) === "1");
});

test("what looks like HTML is shown as text", { skip }, async () => {
  const message = "<img src=x onerror=\"document.title='owned'\">";
  execFileSync("redis-cli", ["-p", String(stack.ports.redis), "PUBLISH", "calculation", message]);
  await eventually("it is shown", async () => (await hashes()).includes(message));
  assert.equal(await page.title(), "String Hashr");
});

test("the page says when Redis is away and goes on when it is back", { skip }, async () => {
  await stack.redisServer.stop();
  await eventually("it says so", async () => (await text("#state")).startsWith("Redis is away: "));
  await stack.redis(stack.ports.redis);
  await eventually("it is live again", async () => (await text("#state")) === "Live");
  const before = (await hashes())[0];
  await eventually("the stream goes on", async () => (await hashes())[0] !== before);
});

test("the page counts failures while the workers are away", { skip }, async () => {
  await Promise.all([stack.primary.stop(), stack.burst.stop()]);
  await eventually("it says so", async () => /fail: .*503/.test(await text("#state")));
  assert.ok(Number(await text("#failed")) > 0);
  await stack.worker(stack.ports.primary, `127.0.0.1:${stack.ports.redis}`, {}, "worker-primary");
  await eventually("it is live again", async () => (await text("#state")) === "Live");
});

test("the page says when the frontend is away, and the list is never longer than 50", { skip }, async () => {
  await enter("100");
  await eventually("it is faster", async () => Number(await text("#achieved")) > 90);
  assert.equal((await hashes()).length, 50);
  await stack.page.stop();
  await eventually("it says so", async () => /connection/i.test(await text("#state")));
  await stack.startPage();
  await eventually("it is back, and says that the load is not", async () => /started anew, and the load has stopped/.test(await text("#state")));
  assert.deepEqual(visitor.errors, []);
});

test("with a control token, everybody watches and some drive", { skip }, async () => {
  const port = await freePort();
  const env = { CONTROL_TOKEN: "correct-horse" };
  const alone = new Stack();
  await alone.frontend(port, `127.0.0.1:${stack.ports.redis}`, `http://127.0.0.1:${stack.ports.primary}`, env);
  const guarded = await browser.newPage();
  await guarded.goto(`http://127.0.0.1:${port}`);
  await guarded.locator("#state", { hasText: "Connected" }).waitFor();
  const asks = async (token) => {
    await guarded.getByLabel("Control token").fill(token);
    await guarded.locator("#frequency").fill("3");
    await guarded.locator("#frequency").press("Enter");
  };
  const refused = async (what) => {
    await guarded.locator("#refused", { hasText: what }).waitFor();
    assert.equal(await guarded.locator("#asked").textContent(), "0");
  };
  await asks("");
  await refused("token: it is missing");
  await asks("wrong-horse");
  await refused("token: it is not the right one");
  await asks("correct-horse");
  await eventually("the rate is in force", async () => (await guarded.locator("#asked").textContent()) === "3");
  assert.equal(await guarded.locator("#refused").isVisible(), false);
  await guarded.screenshot({ path: path.join(out, "control-token.png") });
  await guarded.close();
  await alone.stop();
});
