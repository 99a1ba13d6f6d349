// Follows docs/codelab.md step by step. On a lab without a mesh: up to the section that installs Istio, which the lab
// does itself. On a lab with a mesh: the rest.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launchChromium } from "../lib/chromium.mjs";
import { LAB_PROXIES } from "../lib/clusters/proxies.mjs";
import { deleteAll } from "../lib/clusters/manifests.mjs";
import { Shell, pattern, steps } from "../lib/codelab.mjs";
import { LEFT_OUT } from "../lib/environment.mjs";
import { Page } from "../lib/page.mjs";
import { clusterOf } from "../lib/results.mjs";
import { eventually } from "../lib/waiting.mjs";

const FIRST_SECTION_WITH_MESH = 12;
// Only a lab with a mesh has a gateway (e2e/lab env).
const isWithoutMesh = process.env.GATEWAY === undefined;
const withoutBrowser = LEFT_OUT.has("chromium") && "chromium is left out";
// Commands that only read may run again until they print what they should, as a reader would run them again.
const ONLY_READS = /^(query |kubectl --context \w+( -n [\w-]+)? get )/;
// Each judges the hashes that came since the reader entered the number, the newest first.
const SHOWS = {
  "No hash starts with `bursty-`.": (hashes) => burstShare(hashes.slice(0, 12), 12) === 0,
  "Every hash starts with `bursty-`.": (hashes) => burstShare(hashes.slice(0, 12), 12) === 1,
  "About half of the hashes start with `bursty-`.": (hashes) => Math.abs(burstShare(hashes, 50) - 0.5) < 0.2,
  "Some of the hashes start with `bursty-`.": (hashes) => Math.abs(burstShare(hashes, 50) - 0.3) < 0.2,
};
/** Returns burst's share of the hashes, or NaN if there are fewer than `least`. */
const burstShare = (hashes, least) =>
  (hashes.length < least ? NaN : hashes.filter((hash) => clusterOf(hash) === "burst").length / hashes.length);

const shell = new Shell();
let browser;
let page;

before(async () => {
  if (!withoutBrowser) browser = await launchChromium();
  if (!isWithoutMesh) await deleteAll();
});
after(async () => {
  await browser?.close();
  shell.end();
});

async function onThePage({ url, enter, shows }) {
  if (url) {
    await page?.close();
    page = await Page.open(browser, (await shell.run(`echo ${url}`)).printed.trim());
    await page.shows("#state", /^(Connected|Live|Stopped)/, 30);
  }
  const isSo = SHOWS[shows];
  assert.ok(isSo, `not understood: ${shows}`);
  const earlier = new Set(await page.hashes());
  await page.enter(enter);
  await page.shows("#requested", enter);
  await eventually(shows, async () => isSo((await page.hashes()).filter((hash) => !earlier.has(hash))), 120);
}

async function inTheShell({ text: written, seen }) {
  // The proxies of the lab count by other names.
  const text = written.replace("SOURCE=callers", ["SOURCE=callers", ...LAB_PROXIES.map((setting) => `'${setting}'`)].join(" "));
  const run = async () => {
    const { printed, status } = await shell.run(text);
    assert.equal(status, 0, printed);
    if (seen) assert.match(printed, pattern(seen));
    return true;
  };
  const mayRunAgain = text.trim().split("\n").every((line) => ONLY_READS.test(line));
  await (mayRunAgain ? eventually("the commands print what they should", run, 60) : run());
}

let hasFailed = false;
for (const step of steps()) {
  const number = Number.parseInt(step.section, 10);
  if (!step.isRun || Number.isNaN(number) || (number < FIRST_SECTION_WITH_MESH) !== isWithoutMesh) continue;
  const what = step.enter ? `on the page, ${step.enter}: ${step.shows}` : step.text.trim().split("\n")[0];
  test(`${step.section}, line ${step.line}: ${what}`, { timeout: 300_000, skip: step.enter && withoutBrowser }, async (context) => {
    if (hasFailed) return context.skip("an earlier step failed");
    hasFailed = true;
    await (step.enter ? onThePage(step) : inTheShell(step));
    hasFailed = false;
    return undefined;
  });
}
