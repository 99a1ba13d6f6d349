// The page, as a visitor uses it in a real browser.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { areAllFrom } from "./results.mjs";
import { eventually } from "./waiting.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Page {
  /** The errors of its scripts, and what its content security policy blocked. */
  errors = [];
  /** The requests to other servers than its own. */
  foreign = [];

  constructor(page, url) {
    this.page = page;
    this.url = url;
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      const isBlocked = message.type() === "error" && /Content Security Policy/.test(message.text());
      if (isBlocked) this.errors.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith("data:")) this.foreign.push(request.url());
    });
  }

  static async open(browser, url, options = {}) {
    const page = new Page(await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options }), url);
    await page.page.goto(url);
    return page;
  }

  text(selector) {
    return this.page.locator(selector).textContent();
  }

  /** The hashes in the list, the newest first. */
  hashes() {
    return this.page.locator("#hashes li").allTextContents();
  }

  async enter(frequency) {
    await this.page.locator("#frequency").fill(frequency);
    await this.page.locator("#frequency").press("Enter");
  }

  /** Waits until an element shows a text. */
  async shows(selector, expected, seconds = 10) {
    const matches = (text) => (expected instanceof RegExp ? expected.test(text) : text === expected);
    await eventually(`${selector} shows ${expected}`, async () => matches(await this.text(selector)), seconds);
  }

  /** Waits until the newest dozen of hashes are all from one cluster. */
  async receivesOnlyFrom(cluster, seconds) {
    await eventually(`all hashes are from ${cluster}`, async () => areAllFrom(cluster, await this.hashes()), seconds);
  }

  /** Returns the accessibility violations that axe finds in the page as it is. */
  async violations() {
    // Colors change over a moment.
    await this.page.waitForTimeout(300);
    // The debugger may run it; the page's policy would not let the page itself.
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run());
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }

  close() {
    return this.page.close();
  }
}
