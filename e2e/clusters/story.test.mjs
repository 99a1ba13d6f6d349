// The whole story on two clusters: the page at the gateway in Chromium, and both official socket.io clients, while the load bursts
// and comes home.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { io as io4 } from "socket.io-client";
import io2 from "socket.io-client-2";

import { LEFT_OUT, eventually, out, secondsOf } from "../support.mjs";
import { launch } from "../chromium.mjs";
import { Page } from "../page.mjs";
import { failed, fresh, kubectl, lost, url, visitorsUntil, weights } from "./support.mjs";

const visit = visitorsUntil(after);
const withoutBrowser = LEFT_OUT.has("chromium");
const visitors = [];
let browser;
let page;

before(async () => {
  await fresh();
  visitors.push(await visit(io4).connected(), await visit(io2, { transports: ["polling"] }).connected());
  if (withoutBrowser) return;
  browser = await launch();
  page = await Page.open(browser, url);
});
after(async () => {
  await browser?.close();
});

/** By the page if there is one, else as the page would. */
const enter = (frequency) => (withoutBrowser ? visitors[0].ask(frequency) : page.enter(String(frequency)));

/** Waits until all who watch see a dozen of one kind. */
async function comesTo(isBurst, seconds) {
  const seen = visitors.map((visitor) => visitor.comesTo(isBurst, seconds));
  if (!withoutBrowser) seen.push(page.comesTo(isBurst, seconds));
  await Promise.all(seen);
}

test("5, 20, 5: the load bursts into the other cluster and comes home, and nothing is lost", { timeout: 240_000 }, async () => {
  if (!withoutBrowser) assert.equal(await page.page.title(), "String Hashr");
  await enter(5);
  await comesTo(false, 20);
  const start = visitors[0].stats;
  await enter(20);
  const burst = await secondsOf(() => comesTo(true, 60));
  if (!withoutBrowser) {
    await page.shows("#watcher-state", "burst");
    await page.page.screenshot({ path: path.join(out, "two-clusters-burst.png") });
  }
  assert.equal(await weights(), "0 100");
  await enter(5);
  const home = await secondsOf(() => comesTo(false, 90));
  assert.equal(await weights(), "100 0");
  if (!withoutBrowser) {
    await page.shows("#watcher-state", /^home/);
    assert.match((await page.page.locator("#decisions li").allTextContents()).join("\n"), /all home: .*\n.*all to burst: /s);
    assert.deepEqual(page.errors, []);
  }
  await enter(0);
  await eventually("all are answered", () => visitors[0].stats.freq === 0 && visitors[0].stats.ledger.in_flight === 0);
  await sleep(6000);
  const { stats } = visitors[0];
  const answered = stats.ledger.answered - start.ledger.answered;
  console.log(`burst after ${burst.toFixed(1)} s, home after ${home.toFixed(1)} s; ${answered} answered, corrected p99 ${stats.latencies.corrected.p99} ms`);
  assert.ok(answered > 300, String(answered));
  assert.equal(failed(stats) - failed(start), 0, "failed");
  assert.equal(lost(stats) - lost(start), 0, "lost");
  const uid = await kubectl("primary", "get", "virtualservice", "worker-virtual-service", "-o", "jsonpath={.metadata.uid}");
  const events = await kubectl("primary", "get", "events", "--field-selector", `involvedObject.uid=${uid}`, "-o", "jsonpath={.items[*].reason}");
  assert.match(events, /RateHigh.*RateLow/, "told by Events");
});
