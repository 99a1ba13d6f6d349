// Starts the real browser in which the tests open the page.

import { chromium } from "playwright-core";

/** Starts Chromium without the requests that it makes by itself. */
export const launchChromium = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
