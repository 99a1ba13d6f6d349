// The page, as a visitor uses it in a real browser.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { eventually } from "./support.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Page {
  /** What went wrong in it, and what it asked of others than its own server. */
  errors = [];
  foreign = [];

  constructor(page, url) {
    this.page = page;
    this.url = url;
    page.on("pageerror", (error) => this.errors.push(String(error)));
    // The browser says here what the page's own policy has kept from it.
    page.on("console", (message) => message.type() === "error" && /Content Security Policy/.test(message.text()) && this.errors.push(message.text()));
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

  hashes() {
    return this.page.locator("#hashes li").allTextContents();
  }

  async enter(frequency) {
    await this.page.locator("#frequency").fill(frequency);
    await this.page.locator("#frequency").press("Enter");
  }

  async shows(selector, expected, seconds = 10) {
    const matches = (text) => (expected instanceof RegExp ? expected.test(text) : text === expected);
    await eventually(`${selector} shows ${expected}`, async () => matches(await this.text(selector)), seconds);
  }

  /** Waits until the newest dozen of hashes are all of one kind. */
  async comesTo(isBurst, seconds) {
    await eventually(
      isBurst ? "all hashes are bursty-" : "no hash is bursty-",
      async () => {
        const newest = (await this.hashes()).slice(0, 12);
        return newest.length === 12 && newest.every((hash) => hash.startsWith("bursty-") === isBurst);
      },
      seconds,
    );
  }

  /** What axe has to say of it as it is. */
  async violations() {
    // Colours change over a moment.
    await this.page.waitForTimeout(300);
    // By the debugger, which the page's policy does not bind.
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run());
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }

  close() {
    return this.page.close();
  }
}
