// The page behind proxies: under a path, with and without the proxy stripping it, and with a name of the proxy's own.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as send } from "node:http";
import { connect } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";

import { launchChromium } from "../lib/chromium.mjs";
import { LEFT_OUT, outputFolder } from "../lib/environment.mjs";
import { freePort } from "../lib/network.mjs";
import { Page } from "../lib/page.mjs";
import { Stack } from "../lib/stack.mjs";

const skip = LEFT_OUT.has("chromium") && "chromium is left out";
const stack = new Stack();
let browser;
let redisPort;
let workerPort;

before(async () => {
  if (skip) return;
  [redisPort, workerPort] = [await freePort(), await freePort()];
  await stack.redis(redisPort);
  await stack.worker(workerPort, `127.0.0.1:${redisPort}`, { ACCESS_LOG: "0" });
  browser = await launchChromium();
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

/** Starts a frontend, and a proxy before it. `rewrite` returns the path that the frontend is asked for. */
async function behindProxy(env, rewrite, headers = {}) {
  const [port, upstream] = [await freePort(), await freePort()];
  await stack.frontend(upstream, `127.0.0.1:${redisPort}`, `http://127.0.0.1:${workerPort}`, env);
  const proxied = (request) => ({
    host: "127.0.0.1", port: upstream, method: request.method, path: rewrite(request.url), headers: { ...request.headers, ...headers },
  });
  const server = createServer((request, response) => {
    const passed = send(proxied(request), (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    request.pipe(passed);
  });
  server.on("upgrade", (request, socket, head) => {
    const other = connect(upstream, "127.0.0.1", () => {
      const lines = Object.entries({ ...request.headers, ...headers }).map(([name, value]) => `${name}: ${value}`);
      other.write(`${request.method} ${rewrite(request.url)} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      other.write(head);
      socket.pipe(other).pipe(socket);
    });
    for (const end of [socket, other]) end.on("error", () => { socket.destroy(); other.destroy(); });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  stack.add({ stop: () => { server.closeAllConnections(); server.close(); } });
  return `http://127.0.0.1:${port}`;
}

/** Opens the page, sets a rate, and waits for results. */
async function checkWorks(url, picture) {
  const visitor = await Page.open(browser, url);
  await visitor.shows("#state", /^(Connected|Stopped)/);
  await visitor.enter("20");
  await visitor.shows("#requested", "20");
  await visitor.page.waitForFunction(() => document.querySelectorAll("#hashes li").length > 10);
  await visitor.page.screenshot({ path: path.join(outputFolder, `${picture}.png`) });
  assert.deepEqual(visitor.errors, []);
  await visitor.enter("0");
  await visitor.shows("#requested", "0");
  await visitor.page.close();
}

test("a proxy that strips the path needs no setting", { skip }, async () => {
  const proxy = await behindProxy({}, (url) => url.replace(/^\/hashr\//, "/"));
  await checkWorks(`${proxy}/hashr/`, "path-stripped");
});

test("a proxy that keeps the path needs BASE_PATH", { skip }, async () => {
  const proxy = await behindProxy({ BASE_PATH: "/team/hashr" }, (url) => url);
  await checkWorks(`${proxy}/team/hashr/`, "path-kept");
  await checkWorks(`${proxy}/team/hashr`, "path-redirected");
});

test("a page that the frontend refuses shows what the frontend says", { skip }, async () => {
  const proxy = await behindProxy({}, (url) => url, { host: "internal.example" });
  const visitor = await Page.open(browser, `${proxy}/`);
  await visitor.shows("#state", /No connection: Origin: pages of this address may not use this frontend; accepted: .*ALLOWED_ORIGINS/);
  await visitor.page.screenshot({ path: path.join(outputFolder, "refused-origin.png") });
  await visitor.page.close();
  const allowing = await behindProxy({}, (url) => url.replace(/^\/hashr\//, "/"), { "x-forwarded-proto": "https" });
  await checkWorks(`${allowing}/hashr/`, "path-forwarded");
});
