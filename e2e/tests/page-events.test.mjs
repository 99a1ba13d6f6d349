// The page with a frontend that the test plays: the test sends each event, and lets time pass for the story.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launchChromium } from "../lib/chromium.mjs";
import { LEFT_OUT } from "../lib/environment.mjs";
import { freePort } from "../lib/network.mjs";
import { Page } from "../lib/page.mjs";
import { Stack } from "../lib/stack.mjs";

const skip = LEFT_OUT.has("chromium") && "chromium is left out";
const stack = new Stack();
let browser;

before(async () => {
  if (skip) return;
  browser = await launchChromium();
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

/** Takes the place of socket.io in the page. */
function playFrontend() {
  const handlers = {};
  const now = Date.now;
  let passed = 0;
  Date.now = () => now() + passed;
  const requested = [];
  globalThis.frontend = {
    requested,
    send: (event, value) => handlers[event](value),
    pass: (milliseconds) => { passed += milliseconds; },
  };
  const emitWithAck = async (event, { freq }) => {
    requested.push(freq);
    return { freq };
  };
  globalThis.io = () => ({
    connected: true,
    on: (event, handler) => { handlers[event] = handler; },
    timeout: () => ({ emitWithAck }),
  });
}

/** Opens the page of a real frontend, which has neither workers nor Redis. */
async function openPage(settings = {}) {
  const port = await freePort();
  await stack.frontend(port, "127.0.0.1:1", "http://127.0.0.1:1", settings);
  const url = `http://127.0.0.1:${port}/`;
  const page = await browser.newPage();
  await page.addInitScript(playFrontend);
  await page.route("**/socket.io.min.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  await page.goto(url);
  const visitor = new Page(page, url);
  visitor.report = await (await fetch(`${url}api/stats`)).json();
  visitor.send = (event, value) => page.evaluate((sent) => globalThis.frontend.send(...sent), [event, value]);
  visitor.requested = () => page.evaluate(() => globalThis.frontend.requested);
  visitor.play = () => page.getByRole("button", { name: "Play the story" }).click();
  return visitor;
}

/** An update from a watcher that has these thresholds. */
const known = (policy, thresholds) => ({
  state: "known",
  status: {
    policy, thresholds, state: "home", text: "", observed: { rate: null }, weights: null, not_ready_reasons: [], decisions: [],
  },
});
const threshold = (above, below) => known("threshold", { burst_above: above, home_below: below, capacity: 15 });
const spill = (capacity) => known("spill", { burst_above: 15, home_below: 10, capacity });

/** Reports a load that bursts from 15 a second on, once a second, until the story ends. Returns what it said. */
const finishStory = (visitor) => visitor.page.evaluate(async (report) => {
  const { frontend } = globalThis;
  const prefixes = { "": 0, "bursty-": 0 };
  const said = new Set();
  for (let second = 1; second < 200; second += 1) {
    const text = document.getElementById("act").textContent;
    said.add(text);
    if (text.startsWith("The end")) break;
    const freq = frontend.requested.at(-1);
    prefixes[freq < 15 ? "" : "bursty-"] += freq;
    const results = { ...report.results, by_prefix: prefixes, total: prefixes[""] + prefixes["bursty-"] };
    frontend.pass(1000);
    frontend.send("stats", { ...report, freq, results: structuredClone(results), at: report.at + second });
    // The story requests the rate of its next act, and waits for the answer.
    await new Promise((resolve) => { setTimeout(resolve); });
  }
  return [...said];
}, visitor.report);

test("the story crosses the thresholds of the watcher, at the rates that are allowed", { skip, timeout: 60_000 }, async () => {
  const visitor = await openPage();
  let played = 0;
  for (const [update, rates] of [
    [{ state: "unset" }, [5, 20, 40, 5]],
    [threshold(15, 10), [5, 20, 40, 5]],
    [threshold(8, 6), [3, 20, 40, 3]],
    [threshold(50, 10), [5, 67, 134, 5]],
    // The watcher may be away for a moment.
    [{ state: "away", reason: "no connection" }, [5, 67, 134, 5]],
    [threshold(600, 2), [1, 800, 1000, 1]],
    [threshold(800, 10), [5, 1000, 5]],
    [spill(15), [5, 20, 40, 5]],
    [spill(60), [5, 80, 160, 5]],
    [spill(6), [2, 20, 40, 2]],
  ]) {
    await visitor.send("watcher", update);
    await visitor.play();
    const said = await finishStory(visitor);
    const what = JSON.stringify([update, said]);
    assert.deepEqual((await visitor.requested()).slice(played), rates, what);
    played += rates.length;
    rates.forEach((rate, act) => assert.ok(said[act].startsWith(`${act + 1} of ${rates.length}: ${rate} a`), what));
    assert.equal(said.at(-1), "The end: the traffic burst, and came home.");
  }
  assert.deepEqual(visitor.errors, []);
  await visitor.close();
});

test("the story says why it cannot play if no rate that is allowed crosses a threshold", { skip }, async () => {
  const visitor = await openPage({ MAX_RATE: "40" });
  for (const [update, why] of [
    [threshold(50, 10), "it needs 60 a second to burst, and this page allows at most 40"],
    [spill(40), "it needs 48 a second to burst, and this page allows at most 40"],
    [threshold(15, 1.5), "the traffic comes home only at rates that are too low to show"],
    [threshold(0, 0), "the traffic comes home only at rates that are too low to show"],
  ]) {
    await visitor.send("watcher", update);
    await visitor.play();
    await visitor.shows("#act", `The story cannot play: ${why}.`);
  }
  assert.deepEqual(await visitor.requested(), []);
  await visitor.send("watcher", threshold(30, 10));
  await visitor.play();
  await visitor.shows("#act", /^1 of 3: 5 a second/);
  assert.deepEqual(visitor.errors, []);
  await visitor.close();
});

test("after a restart of the frontend, the page takes no other visitor for its own", { skip }, async () => {
  const visitor = await openPage();
  const showsRequest = async (by, planned, expected) => {
    const ledger = { ...visitor.report.ledger, planned };
    await visitor.send("stats", { ...visitor.report, ledger, requested: { by, seconds_ago: 1 } });
    assert.equal(await visitor.text("#requested-by"), `requested by ${expected}, 1 s ago`);
  };
  for (const number of [1, 3]) await visitor.send("visitor", number);
  await showsRequest(1, 100, "you");
  await showsRequest(2, 100, "visitor 2");
  await showsRequest(3, 100, "you");
  // A new frontend gives again a number that the page has had.
  await visitor.send("visitor", 1);
  await showsRequest(3, 0, "visitor 3");
  await showsRequest(1, 0, "you");
  // Its counts do not show a restart if there has been no load.
  for (const number of [5, 4]) await visitor.send("visitor", number);
  await showsRequest(1, 0, "visitor 1");
  await showsRequest(5, 0, "visitor 5");
  await showsRequest(4, 0, "you");
  for (const number of [6, 6]) await visitor.send("visitor", number);
  await showsRequest(4, 0, "visitor 4");
  await showsRequest(6, 0, "you");
  // Its counts show a restart if its number is higher.
  await showsRequest(6, 100, "you");
  await visitor.send("visitor", 8);
  await showsRequest(6, 0, "visitor 6");
  await showsRequest(8, 0, "you");
  assert.deepEqual(visitor.errors, []);
  await visitor.close();
});
