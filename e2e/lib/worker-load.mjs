// A load on a worker. It remembers every request, so that a test can compare them with the messages that Redis received.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Agent, request } from "node:http";

import { eventually } from "./waiting.mjs";

const CONNECTIONS = 64;

/** Returns the result that a worker without a prefix computes from a string. */
export const calculationOf = (text) => createHash("sha256").update(text).digest("base64");

export class WorkerLoad {
  /** Every request that has ended: its message, status or error, milliseconds, and when it ended. */
  requests = [];
  #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  #count = 0;
  #isOver = false;

  constructor(port, host = "127.0.0.1") {
    this.port = port;
    this.host = host;
    this.clients = Array.from({ length: CONNECTIONS }, () => this.#drive());
  }

  async #drive() {
    while (!this.#isOver) {
      this.#count += 1;
      const text = `request ${this.#count} of ${process.pid}`;
      const start = performance.now();
      const { status, error } = await this.#post(text);
      const now = performance.now();
      this.requests.push({ message: calculationOf(text), status, error, ms: now - start, at: now });
      // The worker is away: a pause keeps this loop from spinning.
      if (error) await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }

  #post(text) {
    return new Promise((resolve) => {
      const body = JSON.stringify({ str: text });
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const sent = request({ host: this.host, port: this.port, method: "POST", path: "/", agent: this.#agent, headers }, (response) => {
        response.resume();
        response.on("end", () => resolve({ status: response.statusCode }));
        response.on("error", (error) => resolve({ error: error.code }));
      });
      sent.on("error", (error) => resolve({ error: error.code }));
      sent.end(body);
    });
  }

  /** Waits until this many requests have ended. */
  async reaches(count) {
    await eventually(`${count} requests`, () => this.requests.length >= count, 60);
  }

  /** Returns the milliseconds from now to the first 200 of a request that begins from now on. */
  async firstAnswer() {
    const start = performance.now();
    const from = this.requests.length;
    const find = () => this.requests.slice(from).find(({ status, at, ms }) => status === 200 && at - ms > start);
    await eventually("a request is answered 200", () => find(), 10);
    return find().at - start;
  }

  async stop() {
    this.#isOver = true;
    await Promise.all(this.clients);
    this.#agent.destroy();
  }

  count(status) {
    return this.requests.filter((ended) => ended.status === status).length;
  }

  /**
   * Checks that the worker answered each request with 200 or 503, that Redis accepted the message of each 200, and that
   * no message reached Redis twice. `proxies` recorded all that Redis received.
   */
  checkAgainst(...proxies) {
    const strange = this.requests.filter(({ status }) => status !== 200 && status !== 503);
    assert.deepEqual(strange.slice(0, 3), [], `${strange.length} answers are neither 200 nor 503`);
    const times = (message) => proxies.reduce((sum, { sent }) => sum + (sent.get(message) ?? 0), 0);
    for (const { message, status } of this.requests) {
      assert.ok(times(message) <= 1, `${message} was published twice`);
      if (status === 200) assert.ok(proxies.some(({ taken }) => taken.has(message)), `${message} was answered 200 and is lost`);
    }
    const slow = this.requests.filter(({ status, ms }) => status === 503 && ms > 1000);
    // The clients share two processors with everything else, so a few wait for their turn.
    assert.ok(slow.length <= this.requests.length / 1000, `${slow.length} were refused after more than a second: ${slow[0]?.ms} ms`);
  }
}

/** Returns a worker's failures by reason, from its metrics. */
export async function failuresByReason(port, host = "127.0.0.1") {
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  const lines = text.matchAll(/^worker_publish_failures_total\{reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, reason, count]) => [reason, Number(count)]));
}
