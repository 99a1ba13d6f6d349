// What the tests on two real clusters share: kubectl, the manifests, a visitor of the page.

import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { io } from "socket.io-client";

import { eventually, root } from "../support.mjs";

/** The page, at the ingress gateway. */
export const url = process.env.GATEWAY;

const asynchronously = promisify(execFile);

/** kubectl in one of the contexts `primary` and `burst`; returns what it prints. */
export async function kubectl(context, ...args) {
  const { stdout } = await asynchronously("kubectl", ["--context", context, "--namespace", "default", ...args], { cwd: root, maxBuffer: 1 << 26, timeout: 180_000 });
  return stdout.trim();
}

/** kubectl that is expected to fail; returns what it says. */
export async function kubectlFails(context, ...args) {
  const ended = await kubectl(context, ...args).then((printed) => ({ printed }), (error) => ({ error }));
  if (!ended.error) throw new Error(`kubectl ${args.join(" ")} did not fail: ${ended.printed}`);
  return ended.error.stderr;
}

/** What a user does: the three folders, in the documented order. */
export async function applyAll() {
  return [
    await kubectl("primary", "apply", "-f", "istio/"),
    await kubectl("primary", "apply", "-f", "k8s/"),
    await kubectl("burst", "apply", "-f", "k8s/burst/"),
  ].join("\n");
}

export const WATCHER = "deployment/istiowatcher-deployment";

/** A watcher that remembers nothing, with the manifest's settings and some of its own. */
export async function freshWatcher(...settings) {
  // Else it would keep what another test has set, or write once more.
  await kubectl("primary", "delete", "--ignore-not-found", "--cascade=foreground", WATCHER);
  await kubectl("primary", "apply", "-f", "k8s/istiowatcher.yaml");
  if (settings.length > 0) await kubectl("primary", "set", "env", WATCHER, ...settings);
  await kubectl("primary", "rollout", "status", WATCHER, "--timeout=90s");
}

/** The manifests as they are, such a watcher, and all traffic at home, but for what may keep burst warm. */
export async function fresh(...settings) {
  await applyAll();
  await freshWatcher(...settings);
  await allRolledOut(90);
  await eventually("all is at home", async () => /^(100 0|99 1)$/.test(await weights()), 90);
}

/** Waits until every Deployment of both clusters is as wanted. */
export async function allRolledOut(seconds = 60) {
  await Promise.all(["primary", "burst"].map(async (context) => {
    const names = (await kubectl(context, "get", "deployments", "-o", "name")).split("\n");
    for (const name of names) await kubectl(context, "rollout", "status", name, `--timeout=${seconds}s`);
  }));
}

export const weights = async () =>
  kubectl("primary", "get", "virtualservice", "worker-virtual-service", "-o", "jsonpath={.spec.http[0].route[*].weight}");

/** What the watcher has logged since it was started. */
export const watcherLog = async () => kubectl("primary", "logs", WATCHER, "-c", "istiowatcher", "--tail=-1");

export const firstPod = async (context, app) =>
  kubectl(context, "get", "pods", "-l", `app=${app}`, "--field-selector=status.phase=Running", "-o", "jsonpath={.items[0].metadata.name}");

/** Somebody who watches the page, by an official client. */
class Visitor {
  results = [];

  constructor(client = io, options = {}) {
    this.socket = client(url, { transports: ["websocket"], forceNew: true, ...options });
    this.socket.on("calculation", (text) => {
      this.results.push(text);
      if (this.results.length > 100) this.results.shift();
    });
    this.socket.on("stats", (stats) => { this.stats = stats; });
  }

  async connected() {
    await eventually("the client is connected and told", () => this.socket.connected && this.stats, 30);
    return this;
  }

  async ask(freq) {
    const answer = await new Promise((resolve) => this.socket.emit("frequency", { freq }, resolve));
    if (answer.error) throw new Error(answer.error);
  }

  /** Waits until the newest dozen of results are all of one kind; returns the seconds that it took. */
  async comesTo(isBurst, seconds) {
    const start = Date.now();
    this.results.length = 0;
    await eventually(
      `the results are ${isBurst ? "" : "not "}bursty-`,
      () => {
        const newest = this.results.slice(-12);
        return newest.length === 12 && newest.every((text) => text.startsWith("bursty-") === isBurst);
      },
      seconds,
    );
    return (Date.now() - start) / 1000;
  }

  /** Ends the load and leaves. */
  async leave() {
    if (this.socket.connected) await Promise.race([this.ask(0), sleep(2000)]);
    this.socket.disconnect();
  }
}

/** Returns what makes visitors who leave when a file's tests are over; `after` is node:test's. */
export function visitorsUntil(after) {
  const made = [];
  after(async () => {
    for (const visitor of made) await visitor.leave();
  });
  return (...args) => {
    const visitor = new Visitor(...args);
    made.push(visitor);
    return visitor;
  };
}

/** How many requests failed, by kind. */
export const kindsOfFailure = (stats, since) =>
  Object.fromEntries(Object.entries(stats.ledger.failed).map(([kind, count]) => [kind, count - since.ledger.failed[kind]]).filter(([, count]) => count > 0));

/** How many requests failed, and how many answers had no result. */
export const failed = (stats) => Object.values(stats.ledger.failed).reduce((sum, count) => sum + count, 0);
export const lost = (stats) => stats.results.trips.lost;

/** What has become of the requests between two statistics. */
export const between = (start, end) => ({
  answered: end.ledger.answered - start.ledger.answered,
  failed: failed(end) - failed(start),
  lost: lost(end) - lost(start),
  kinds: kindsOfFailure(end, start),
});
