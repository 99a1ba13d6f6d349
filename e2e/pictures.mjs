// Takes the pictures of the page that the documents show: the demo, played.

import path from "node:path";

import { launch } from "./chromium.mjs";
import { Page } from "./page.mjs";
import { demo, eventually, root } from "./support.mjs";

const stack = await demo();
const browser = await launch();
const folder = path.join(root, "docs", "images");
try {
  const visitor = await Page.open(browser, stack.pageUrl, { deviceScaleFactor: 1 });
  const take = (name, of = visitor) => of.page.screenshot({ path: path.join(folder, `${name}.png`) });
  await visitor.enter("5");
  await visitor.comesTo(false, 15);
  await visitor.page.waitForTimeout(15_000);
  await take("home");
  await visitor.enter("20");
  await eventually("the first are bursty-", async () => (await visitor.hashes())[8].startsWith("bursty-"), 15);
  await take("spilling");
  await visitor.page.waitForTimeout(20_000);
  await take("burst");
  for (const [name, options] of [
    ["burst-dark", { colorScheme: "dark", viewport: { width: 1920, height: 1080 } }],
    ["burst-phone", { viewport: { width: 360, height: 740 } }],
  ]) {
    const one = await Page.open(browser, stack.pageUrl, options);
    await one.comesTo(true, 15);
    await take(name, one);
    await one.close();
  }
  await visitor.enter("2000");
  await visitor.page.locator("#refused").waitFor();
  await take("refused");
  await visitor.enter("20");
  await stack.redisServer.stop();
  await visitor.shows("#state", /^Redis is away/);
  await visitor.page.waitForTimeout(2000);
  await take("redis-away");
  console.log(`docs/images: ${["home", "spilling", "burst", "burst-dark", "burst-phone", "refused", "redis-away"].join(", ")}`);
} finally {
  await browser.close();
  await stack.stop();
}
