// A visitor of the page, by an official socket.io client, and what the frontend's statistics tell the visitor.

import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";

import { areAllFrom } from "../results.mjs";
import { eventually } from "../waiting.mjs";

const KEPT_RESULTS = 100;

/** The page's URL at the ingress gateway. */
export const pageUrl = process.env.GATEWAY;

class Visitor {
  /** The last results, the newest first. */
  results = [];

  constructor(client = io, options = {}) {
    this.socket = client(pageUrl, { transports: ["websocket"], forceNew: true, ...options });
    this.socket.on("calculation", (result) => {
      this.results.unshift(result);
      this.results.splice(KEPT_RESULTS);
    });
    this.socket.on("stats", (stats) => { this.stats = stats; });
    this.socket.on("watcher", (update) => { this.watcher = update; });
  }

  async connected() {
    await eventually("the client is connected and has statistics", () => this.socket.connected && this.stats, 30);
    return this;
  }

  async requestRate(freq) {
    const answer = await new Promise((resolve) => { this.socket.emit("frequency", { freq }, resolve); });
    if (answer.error) throw new Error(answer.error);
  }

  /** Waits until the newest dozen of results are all from one cluster, and returns the seconds that it took. */
  async receivesOnlyFrom(cluster, seconds) {
    const start = Date.now();
    this.results.length = 0;
    await eventually(`all results are from ${cluster}`, () => areAllFrom(cluster, this.results), seconds);
    return (Date.now() - start) / 1000;
  }

  /** Ends the load and leaves. */
  async leave() {
    if (this.socket.connected) await Promise.race([this.requestRate(0), sleep(2000)]);
    this.socket.disconnect();
  }
}

/** Returns a function that makes visitors, who leave when the tests of a file are over. `after` is node:test's. */
export function visitorsUntil(after) {
  const visitors = [];
  after(async () => {
    for (const visitor of visitors) await visitor.leave();
  });
  return (...args) => {
    const visitor = new Visitor(...args);
    visitors.push(visitor);
    return visitor;
  };
}

/** Returns how many requests failed, of any kind. */
export const failed = (stats) => Object.values(stats.ledger.failed).reduce((sum, count) => sum + count, 0);

/** Returns how many answered requests had no result. */
export const lost = (stats) => stats.results.trips.lost;

/** Returns how many requests failed between two statistics, by kind. */
function failuresByKind(start, end) {
  const kinds = Object.entries(end.ledger.failed).map(([kind, count]) => [kind, count - start.ledger.failed[kind]]);
  return Object.fromEntries(kinds.filter(([, count]) => count > 0));
}

/** Returns how many requests were answered, failed and lost between two statistics. */
export const between = (start, end) => ({
  answered: end.ledger.answered - start.ledger.answered,
  failed: failed(end) - failed(start),
  lost: lost(end) - lost(start),
  kinds: failuresByKind(start, end),
});
