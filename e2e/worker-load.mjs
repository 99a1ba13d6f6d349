// A load on a worker that remembers every request, to be compared with what Redis was told.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Agent, request } from "node:http";

import { eventually } from "./support.mjs";

const CONNECTIONS = 64;

/** What a worker without a prefix makes of a string. */
export const calculationOf = (text) => createHash("sha256").update(text).digest("base64");

export class WorkerLoad {
  /** Every request that has ended: its calculation, status or error, milliseconds, and when it ended. */
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
      // Nobody is there: not to spin.
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

  /** Waits until so many requests have ended. */
  async reaches(count) {
    await eventually(`${count} requests`, () => this.requests.length >= count, 60);
  }

  /** Milliseconds from now to the end of the first request that begins now or later and is answered 200. */
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
    return this.requests.filter((request) => request.status === status).length;
  }

  /**
   * Checks that each request was answered 200 or 503; that each 200 was taken by Redis, and told to it once; and that
   * nothing was told to it twice. `proxies` saw all that Redis was told.
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
    // The clients share two processors with all the rest: a few wait for their turn.
    assert.ok(slow.length <= this.requests.length / 1000, `${slow.length} were refused after more than a second: ${slow[0]?.ms} ms`);
  }
}

/** The failures of a worker by reason, as its metrics have them. */
export async function failuresByReason(port, host = "127.0.0.1") {
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  const lines = text.matchAll(/^worker_publish_failures_total\{reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, reason, count]) => [reason, Number(count)]));
}
