// docs/codelab.md, followed from its first step that can be to its last: CODELAB=without-mesh up to where Istio is installed, which the lab
// does, and then the rest.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "../chromium.mjs";
import { Shell, pattern, steps } from "../codelab.mjs";
import { Page } from "../page.mjs";
import { LEFT_OUT, eventually } from "../support.mjs";
import { kubectl } from "./support.mjs";

const isWithoutMesh = process.env.CODELAB === "without-mesh";
const withoutBrowser = LEFT_OUT.has("chromium") && "chromium is left out";
// Commands that only look may look again until it is there, as a reader would.
const ONLY_LOOKS = /^(query |kubectl --context \w+( -n [\w-]+)? get )/;
// By the hashes that have come since the number was entered, the newest first.
const SHOWS = {
  "No hash starts with `bursty-`.": (hashes) => share(hashes.slice(0, 12), 12) === 0,
  "Every hash starts with `bursty-`.": (hashes) => share(hashes.slice(0, 12), 12) === 1,
  "About half of the hashes start with `bursty-`.": (hashes) => Math.abs(share(hashes, 50) - 0.5) < 0.2,
  "Some of the hashes start with `bursty-`.": (hashes) => Math.abs(share(hashes, 50) - 0.3) < 0.2,
};
const share = (hashes, least) => (hashes.length < least ? NaN : hashes.filter((it) => it.startsWith("bursty-")).length / hashes.length);

const shell = new Shell();
let browser;
let page;

before(async () => {
  if (!withoutBrowser) browser = await launch();
  if (isWithoutMesh) return;
  for (const context of ["primary", "burst"]) await kubectl(context, "delete", "--ignore-not-found", "-f", "k8s/", "-f", "k8s/burst/");
  await kubectl("primary", "delete", "--ignore-not-found", "-f", "istio/");
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
  await page.shows("#asked", enter);
  await eventually(shows, async () => isSo((await page.hashes()).filter((it) => !earlier.has(it))), 120);
}

async function inTheShell({ text, seen }) {
  const look = async () => {
    const { printed, status } = await shell.run(text);
    assert.equal(status, 0, printed);
    if (seen) assert.match(printed, pattern(seen));
    return true;
  };
  const mayLookAgain = text.trim().split("\n").every((line) => ONLY_LOOKS.test(line));
  await (mayLookAgain ? eventually("it is seen", look, 60) : look());
}

let hasFailed = false;
for (const step of steps()) {
  const number = Number.parseInt(step.section, 10);
  if (!step.isRun || Number.isNaN(number) || (number < 12) !== isWithoutMesh) continue;
  const what = step.enter ? `on the page, ${step.enter}: ${step.shows}` : step.text.trim().split("\n")[0];
  test(`${step.section}, line ${step.line}: ${what}`, { timeout: 300_000, skip: step.enter && withoutBrowser }, async (context) => {
    if (hasFailed) return context.skip("a step before it has failed");
    hasFailed = true;
    await (step.enter ? onThePage(step) : inTheShell(step));
    hasFailed = false;
    return undefined;
  });
}
