// The report of a replay: makes one with the real watcher, and opens it from its file, without a network.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { binaries, outputFolder, root } from "./environment.mjs";
import { Page } from "./page.mjs";

const DATA = /(<script type="application\/json" id="data">)(.*?)(<\/script>)/s;

/** Plays a real day, and returns the path of its report. */
export function makeReport() {
  mkdirSync(outputFolder, { recursive: true });
  const file = path.join(outputFolder, "report.html");
  const trace = path.join(root, "crates/simulator/traces/twitter-2021-day.txt");
  execFileSync(path.join(binaries, "watcher"), ["replay", "--trace", trace, "--signal", "callers", "--policy", "spill", "--report", file]);
  return file;
}

export const readData = (file) => JSON.parse(DATA.exec(readFileSync(file, "utf8"))[2]);

/** Writes the same report with other data, such as a load with gaps, and returns its path. */
export function withOtherData(file, name, change) {
  const data = readData(file);
  change(data);
  const escaped = JSON.stringify(data).replaceAll("<", "\\u003c");
  return variant(file, name, (html) => html.replace(DATA, (_, before, _data, after) => before + escaped + after));
}

/** Writes the same report without the library of its charts. */
export const withoutLibrary = (file) => variant(file, "without-library", (html) => html.replace("<head>", '<head><script>Object.defineProperty(window, "uPlot", { set() {} });</script>'));

function variant(file, name, change) {
  const other = path.join(outputFolder, `report-${name}.html`);
  writeFileSync(other, change(readFileSync(file, "utf8")));
  return other;
}

/** Opens a report in a browser without a network. Its `errors` are all that the console shows as an error. */
export async function openReport(browser, file, options = {}) {
  const url = pathToFileURL(file).href;
  const report = new Page(await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options }), url);
  report.page.on("console", (message) => {
    if (message.type() === "error") report.errors.push(message.text());
  });
  await report.page.context().setOffline(true);
  await report.page.goto(url);
  return report;
}
