// The report of a replay, opened from its file in a real browser that has no network.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { launchChromium } from "../lib/chromium.mjs";
import { LEFT_OUT, outputFolder } from "../lib/environment.mjs";
import { makeReport, openReport, readData, withOtherData, withoutLibrary } from "../lib/report.mjs";
import { eventually } from "../lib/waiting.mjs";

const skip = LEFT_OUT.has("chromium") && "chromium is left out";
const MEBIBYTE = 1 << 20;
// Switches.
const MOST_ON_PAPER = 200;
// What WCAG 2.2 asks of small text (1.4.3).
const CONTRAST = 4.5;

let file;
let data;
let browser;
const opened = [];

before(async () => {
  if (skip) return;
  file = makeReport();
  data = readData(file);
  browser = await launchChromium();
});
after(() => browser?.close());

async function open(options, of = file) {
  const report = await openReport(browser, of, options);
  opened.push(report);
  return report;
}

const plain = (text) => text.replaceAll("\u00a0", " ");
const reading = async (report) => plain(await report.text("#reading"));
/** What a chart's canvas shows, as one string. */
const picture = (report, chart) => report.page.locator(`#${chart} canvas`).evaluate((canvas) => canvas.toDataURL());
const pictures = (report) => Promise.all(["load-plot", "queue-plot"].map((chart) => picture(report, chart)));

test("a report is one file of at most 1 MiB, and says in its first sentences what the table says", { skip }, async () => {
  assert.ok(statSync(file).size <= MEBIBYTE, `${statSync(file).size} bytes`);
  const report = await open();
  const [set] = data.rules;
  assert.equal(set.rule, "policy as set");
  const summary = plain(await report.text("#summary"));
  const row = plain(await report.text("#rules tr.as-set"));
  for (const figure of [`${set.late_seconds.toLocaleString("en-GB")} s`, `${(100 * set.burst_share).toFixed(1)} %`]) {
    assert.ok(summary.includes(figure), `${figure} is not in: ${summary}`);
    assert.ok(row.includes(figure), `${figure} is not in: ${row}`);
  }
  assert.match(summary, /Without burst, the load would have been late for [\d,]+ s\. With [\d.]+ % to burst, an oracle/);
  assert.match(plain(await report.text("#what")), /^What the policy as set would have done to the load of .*twitter-2021-day\.txt: 1 d, with 830,569 requests, 9\.61\/s on average\./);
  assert.equal(await report.page.locator("#switches tbody tr").count(), data.switches.list.length);
  assert.equal(await report.page.locator("#sweep").isVisible(), data.sweep !== null);
});

test("every table has a caption, and every header says what it heads", { skip }, async () => {
  const report = await open();
  const tables = await report.page.locator("table").evaluateAll((all) => all.map((table) => ({
    caption: table.caption?.textContent ?? "",
    scopes: [...table.querySelectorAll("th")].map((header) => header.scope),
    rows: [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.querySelector("th")).length,
  })));
  assert.ok(tables.length >= 2, String(tables.length));
  for (const { caption, scopes, rows } of tables) {
    assert.notEqual(caption, "");
    assert.deepEqual(scopes.filter((scope) => !["col", "row", "rowgroup"].includes(scope)), [], caption);
    assert.equal(rows, 0, `${caption}: rows without a header`);
  }
});

/** Returns the contrast of an element's text with what is behind it. */
const contrast = (node) => {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const linear = parse(color).slice(0, 3).map((value) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  let behind = node;
  while (behind.parentElement && parse(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const [dark, light] = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor].map(luminance).sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
};

test("in both color schemes the text has contrast, axe finds nothing, and the charts follow a change", { skip }, async () => {
  const shots = [];
  const seen = [];
  const report = await open({ colorScheme: "light" });
  for (const colorScheme of ["light", "dark"]) {
    await report.page.emulateMedia({ colorScheme });
    if (seen.length > 0) await eventually("the charts have other colors", async () => (await picture(report, "load-plot")) !== seen[0][0]);
    seen.push(await pictures(report));
    shots.push(await report.page.screenshot({ path: path.join(outputFolder, `report-${colorScheme}.png`), fullPage: true }));
    for (const selector of ["h1", "#what", "#summary strong", "#keys", "figcaption", "caption", "tr.as-set td", "tbody td", "footer p"]) {
      const measured = await report.page.locator(selector).first().evaluate(contrast);
      assert.ok(measured >= CONTRAST, `${colorScheme}, ${selector}: ${measured.toFixed(2)}`);
    }
    assert.deepEqual(await report.violations(), [], colorScheme);
  }
  assert.ok(!shots[0].equals(shots[1]));
  assert.notEqual(seen[0][1], seen[1][1]);
});

test("on paper a dark report is light and complete", { skip }, async () => {
  const onPaper = [];
  for (const colorScheme of ["light", "dark"]) {
    const report = await open({ colorScheme });
    const onScreen = await picture(report, "load-plot");
    assert.ok((await report.page.pdf()).subarray(0, 5).equals(Buffer.from("%PDF-")));
    await eventually("the charts are as before", async () => (await picture(report, "load-plot")) === onScreen);
    assert.equal(await report.page.locator("details[open]").count(), 0);
    await report.page.emulateMedia({ media: "print" });
    await eventually("the charts have the width of paper", async () => (await picture(report, "load-plot")) !== onScreen);
    for (const selector of ["h1", "#what", "#summary", "#load-plot canvas", "#queue-plot canvas", "#axis", "#rules table", "dl", "#source"]) {
      assert.ok(await report.page.locator(selector).isVisible(), `${selector} is not on paper`);
    }
    assert.equal(await report.page.locator("#switches table").isVisible(), data.switches.list.length <= MOST_ON_PAPER);
    assert.equal(await report.page.locator("#keys").isVisible(), false);
    assert.equal(await report.page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
    await report.page.screenshot({ path: path.join(outputFolder, `report-print-${colorScheme}.png`), fullPage: true });
    onPaper.push(await pictures(report));
  }
  assert.deepEqual(onPaper[0], onPaper[1]);
});

async function tabTo(report, id) {
  for (let stop = 0; stop < 20; stop += 1) {
    if (await report.page.evaluate(() => document.activeElement.id) === id) return;
    await report.page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${id}`);
}

test("keys move the cursor, go from switch to switch, and speak what they find", { skip }, async () => {
  const report = await open();
  const { keyboard } = report.page;
  const { list } = data.switches;
  const spoken = (text) => eventually(`a screen reader hears ${text}`, async () => (await report.text("#spoken")).includes(text));
  for (const id of ["load-plot", "queue-plot"]) {
    await tabTo(report, id);
    await keyboard.press("Enter");
    assert.ok((await reading(report)).includes(list[0].text), await reading(report));
    await spoken(list[0].text);
    await keyboard.press("ArrowDown");
    assert.ok((await reading(report)).includes(list[1].text), await reading(report));
    await keyboard.press("ArrowUp");
    assert.ok((await reading(report)).includes(list[0].text), await reading(report));
    // The cursor stays at its switch while the view changes, and the view follows it.
    for (let time = 0; time < 8; time += 1) await keyboard.press("+");
    assert.ok((await reading(report)).includes(list[0].text), await reading(report));
    await keyboard.press("Enter");
    assert.ok((await reading(report)).includes(list[1].text), await reading(report));
    await keyboard.press("Escape");
    assert.ok((await reading(report)).includes(list[1].text), await reading(report));
    await keyboard.press("Home");
    const first = await reading(report);
    assert.match(first, /^0 s and the 63 s after: [\d.]+\/s on average, \d+\/s in the highest second; [\d.]+\/s to burst( \([\d.]+ %\))?; longest wait [\d.]+ s\.$/);
    await keyboard.press("ArrowRight");
    assert.match(await reading(report), /^1 m 4 s and/);
    await spoken("1\u00a0m 4\u00a0s and");
    await keyboard.press("ArrowLeft");
    assert.equal(await reading(report), first);
    await keyboard.press("Shift+ArrowRight");
    assert.match(await reading(report), /^2 h 2\d m( \d+ s)? and/);
    assert.ok(await report.page.locator(`#${id} .u-cursor-x`).isVisible());
  }
  assert.equal(await report.page.locator("#spoken").getAttribute("role"), "status");
});

test("keys and the mouse zoom both charts, and show everything again", { skip }, async () => {
  const report = await open();
  const { keyboard, mouse } = report.page;
  const whole = await pictures(report);
  const areOther = async () => (await pictures(report)).every((one, index) => one !== whole[index]);
  const areAsBefore = async () => (await pictures(report)).every((one, index) => one === whole[index]);
  await tabTo(report, "queue-plot");
  for (const [zoom, back] of [["+", "Escape"], ["+", "-"]]) {
    await keyboard.press(zoom);
    await eventually(`${zoom} zooms`, areOther);
    await keyboard.press(back);
    await eventually(`${back} shows everything again`, areAsBefore);
  }
  const { x, y, width } = await report.page.locator("#load-plot .u-over").boundingBox();
  await mouse.move(x + width * 0.3, y + 60);
  await mouse.down();
  await mouse.move(x + width * 0.4, y + 60, { steps: 5 });
  await mouse.up();
  await eventually("dragging zooms", areOther);
  await report.page.screenshot({ path: path.join(outputFolder, "report-zoomed.png") });
  // In view are now the hours from 7:12 to 9:36.
  await mouse.move(x + 1, y + 90);
  assert.match(await reading(report), /^7 h 1\d m/);
  await mouse.dblclick(x + width / 2, y + 60);
  await eventually("a double click shows everything again", areAsBefore);
});

test("pointing at a switch shows its reason, in either chart", { skip }, async () => {
  const report = await open();
  const [{ second, text, from, to }] = data.switches.list;
  for (const id of ["load-plot", "queue-plot"]) {
    const { x, y, width } = await report.page.locator(`#${id} .u-over`).boundingBox();
    await report.page.mouse.move(x + 1 + (second / data.seconds) * width, y + 8);
    const tip = report.page.locator("#load-plot .tip");
    await eventually("the reason is visible", async () => (await tip.isVisible()) && (await tip.textContent()).includes(text));
    assert.ok((await reading(report)).includes(`from ${from} to ${to}: ${text}`), await reading(report));
    await report.page.mouse.move(0, 0);
    await eventually("the reason is gone", async () => !(await tip.isVisible()));
  }
});

test("a phone shows the report without scrolling sideways", { skip }, async () => {
  const report = await open({ viewport: { width: 375, height: 800 } });
  const overflow = () => report.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(await overflow(), 0);
  await report.page.locator("#switches summary").click();
  assert.equal(await overflow(), 0);
  assert.deepEqual(await report.violations(), []);
  await report.page.screenshot({ path: path.join(outputFolder, "report-375.png"), fullPage: true });
});

test("a load with a date has local times with their zone, and unknown time is marked as such", { skip }, async () => {
  const known = await open();
  assert.equal(await known.page.locator("[data-key=unknown]").first().isVisible(), false);
  const other = withOtherData(file, "dated", (changed) => {
    // 2026-10-25T00:00:00Z, an hour before Berlin's summer time ends.
    Object.assign(changed, { start: 1_792_886_400, unknown_seconds: 43_000, note: "A note <b>with</b> signs." });
    for (const name of ["load", "load_max", "to_burst", "wait_max"]) changed.series[name].fill(null, 0, 1000);
    changed.switches.total = changed.switches.list.length + 10;
  });
  const report = await open({ timezoneId: "Europe/Berlin" }, other);
  await tabTo(report, "load-plot");
  await report.page.keyboard.press("Home");
  assert.equal(await reading(report), "25 Oct 2026, 02:00:00 CEST and the 63 s after: nothing is known.");
  await report.page.keyboard.press("End");
  assert.match(await reading(report), /^26 Oct 2026, 00:5[89]:\d\d CET and/);
  assert.ok(await report.page.locator("[data-key=unknown]").first().isVisible());
  assert.equal(await report.text("#axis"), "Across: local time, Europe/Berlin. Each value is of 1\u00a0m 4\u00a0s.");
  assert.equal(await report.text("#note"), "A note <b>with</b> signs.");
  const moment = report.page.locator("#switches time").first();
  assert.match(await moment.getAttribute("title"), /^2026-10-25 00:00:\d\d UTC$/);
  assert.match(await report.text("#switches-left-out"), /; 10 are left out/);
  await report.page.screenshot({ path: path.join(outputFolder, "report-dated.png"), fullPage: true });
});

const SWEEP = {
  parameters: ["capacity", "headroom"],
  points: [[13, 0.8, 30, 0.29], [14, 0.8, 90, 0.2], [15, 0.8, 240, 0.17], [14, 0.9, 300, 0.21], [16, 0.9, 1200, 0.13], [9, 0.7, 9000, 0.3]].map(([capacity, headroom, late, burst], index) => ({
    values: [capacity, headroom], late_seconds: late, late_low: late * 0.9, late_high: late * 1.1, burst_share: burst, share_low: burst - 0.01, share_high: burst + 0.01,
    longest_wait_seconds: 3, writes: 100, cost: null, is_on_frontier: ![3, 5].includes(index),
  })),
  knee: 1, as_set: 3, recommendation: "Capacity 14 and headroom 0.8 are the knee.",
};

test("a sweep has a frontier with its knee and the setting in force, by mouse and by key", { skip }, async () => {
  const report = await open({}, withOtherData(file, "sweep", (changed) => { changed.sweep = SWEEP; }));
  assert.equal(await report.text("#recommendation"), SWEEP.recommendation);
  assert.match(await report.text("#frontier-axis"), /One setting is above the upper edge\.$/);
  const rows = await report.page.locator("#frontier tbody tr").evaluateAll((all) => all.map((row) => [row.cells[0].textContent, row.cells[1].textContent, row.cells[6].textContent]));
  assert.deepEqual(rows, [["16", "0.9", ""], ["15", "0.8", ""], ["14", "0.8", "knee"], ["14", "0.9", "as set, not on the frontier"], ["13", "0.8", ""]]);
  const shown = async () => plain(await report.text("#frontier-reading"));
  await tabTo(report, "frontier-plot");
  await report.page.keyboard.press("ArrowRight");
  assert.equal(await shown(), "capacity 16, headroom 0.9: late for 1,200 s (1,080 s to 1,320 s), 13.0 % to burst (12.0 % to 14.0 %), longest wait 3.0 s; on the frontier.");
  await report.page.keyboard.press("Enter");
  await report.page.keyboard.press("Enter");
  assert.match(await shown(), /^capacity 14, headroom 0\.8: .*; knee, on the frontier\.$/);
  await report.page.keyboard.press("ArrowRight");
  assert.match(await shown(), /; as set, another setting is better in both\.$/);
  await eventually("a screen reader hears it", async () => /as set, another/.test(await report.text("#spoken")));
  const { x, y, width, height } = await report.page.locator("#frontier-plot .mark").boundingBox();
  await report.page.mouse.move(0, 0);
  await report.page.mouse.move(x + width / 2, y + height / 2 + 6);
  assert.match(await shown(), /; as set, another setting is better in both\.$/);
  assert.deepEqual(await report.violations(), []);
  await report.page.locator("#sweep").screenshot({ path: path.join(outputFolder, "report-sweep.png") });
});

test("without the library of its charts, a report says so and keeps its tables", { skip }, async () => {
  const report = await open({}, withoutLibrary(file));
  for (const id of ["load-plot", "queue-plot"]) assert.equal(await report.text(`#${id}`), "There is no chart: its library could not be loaded.");
  assert.equal(await report.page.locator("#rules tbody tr").count(), data.rules.length + 1);
  assert.ok(await report.page.locator("#summary").isVisible());
});

test("no report had an error, or asked for anything but its own file", { skip }, () => {
  assert.ok(opened.length > 10);
  for (const { errors, foreign } of opened) assert.deepEqual({ errors, foreign }, { errors: [], foreign: [] });
});
