// The whole story on two clusters: the load bursts and comes home, watched by the page in Chromium and by both official
// socket.io clients.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { io as io4 } from "socket.io-client";
import io2 from "socket.io-client-2";

import { launchChromium } from "../lib/chromium.mjs";
import { kubectl, weights } from "../lib/clusters/kubectl.mjs";
import { freshClusters } from "../lib/clusters/manifests.mjs";
import { failed, lost, pageUrl, visitorsUntil } from "../lib/clusters/visitor.mjs";
import { LEFT_OUT, outputFolder } from "../lib/environment.mjs";
import { Page } from "../lib/page.mjs";
import { eventually, secondsOf } from "../lib/waiting.mjs";

const newVisitor = visitorsUntil(after);
const withoutBrowser = LEFT_OUT.has("chromium");
const visitors = [];
let browser;
let page;

before(async () => {
  await freshClusters();
  visitors.push(await newVisitor(io4).connected(), await newVisitor(io2, { transports: ["polling"] }).connected());
  if (withoutBrowser) return;
  browser = await launchChromium();
  page = await Page.open(browser, pageUrl);
});
after(async () => {
  await browser?.close();
});

/** Enters a frequency into the page, or without a browser emits what the page would. */
const enter = (frequency) => (withoutBrowser ? visitors[0].requestRate(frequency) : page.enter(String(frequency)));

/** Waits until every visitor receives a dozen results in a row from one cluster. */
async function allReceiveOnlyFrom(cluster, seconds) {
  const receiving = visitors.map((visitor) => visitor.receivesOnlyFrom(cluster, seconds));
  if (!withoutBrowser) receiving.push(page.receivesOnlyFrom(cluster, seconds));
  await Promise.all(receiving);
}

test("at 20/s the load bursts into the other cluster, at 5/s it comes home, and nothing is lost", { timeout: 240_000 }, async () => {
  if (!withoutBrowser) assert.equal(await page.page.title(), "String Hashr");
  await enter(5);
  await allReceiveOnlyFrom("primary", 20);
  const start = visitors[0].stats;
  await enter(20);
  const burst = await secondsOf(() => allReceiveOnlyFrom("burst", 60));
  if (!withoutBrowser) {
    await page.shows("#watcher-state", "burst");
    await page.page.screenshot({ path: path.join(outputFolder, "two-clusters-burst.png") });
  }
  assert.equal(await weights(), "0 100");
  await enter(5);
  const home = await secondsOf(() => allReceiveOnlyFrom("primary", 90));
  assert.equal(await weights(), "100 0");
  if (!withoutBrowser) {
    await page.shows("#watcher-state", /^home/);
    assert.match((await page.page.locator("#decisions li").allTextContents()).join("\n"), /all traffic home: .*\n.*all traffic to burst: /s);
    assert.deepEqual(page.errors, []);
  }
  await enter(0);
  await eventually("all requests are answered", () => visitors[0].stats.freq === 0 && visitors[0].stats.ledger.in_flight === 0);
  await sleep(6000);
  const { stats } = visitors[0];
  const answered = stats.ledger.answered - start.ledger.answered;
  console.log(`burst after ${burst.toFixed(1)} s, home after ${home.toFixed(1)} s; ${answered} answered, corrected p99 ${stats.latencies.corrected.p99} ms`);
  // How many there are depends on how soon the load bursts and comes home.
  const sent = 20 * burst + 5 * home;
  assert.ok(answered > 0.9 * sent, `${answered} of some ${sent}`);
  assert.equal(failed(stats) - failed(start), 0, "failed");
  assert.equal(lost(stats) - lost(start), 0, "lost");
  const uid = await kubectl("primary", "get", "virtualservice", "worker-virtual-service", "-o", "jsonpath={.metadata.uid}");
  const events = await kubectl("primary", "get", "events", "--field-selector", `involvedObject.uid=${uid}`, "-o", "jsonpath={.items[*].reason}");
  assert.match(events, /RateHigh.*RateLow/, "Events name the reasons");
});
