// Pods that are deleted, and Deployments that are restarted, under load: all is right again by itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually, secondsOf } from "../support.mjs";
import { allRolledOut, between, firstPod, fresh, kubectl, visitorsUntil, weights } from "./support.mjs";

const RATE = 20;
const visit = visitorsUntil(after);
let visitor;

before(async () => {
  await fresh();
  visitor = await visit().connected();
  await visitor.ask(RATE);
  await visitor.comesTo(true, 60);
});

/** What became of the requests while something was done, and for some seconds after it. */
async function during(what, something) {
  const start = visitor.stats;
  const seconds = await secondsOf(something);
  await sleep(7000);
  const report = between(start, visitor.stats);
  console.log(`${what}: ${seconds.toFixed(1)} s, ${JSON.stringify(report)}`);
  return report;
}

const deletePod = async (context, app) => {
  await kubectl(context, "delete", "pod", await firstPod(context, app));
  await allRolledOut(90);
};
const restart = async (context, deployment) => {
  await kubectl(context, "rollout", "restart", `deployment/${deployment}`);
  await kubectl(context, "rollout", "status", `deployment/${deployment}`, "--timeout=90s");
};

for (const [name, something] of [
  ["a worker of burst is deleted", () => deletePod("burst", "worker")],
  ["burst's workers are restarted, one after the other", () => restart("burst", "worker-deployment")],
  ["primary's workers are restarted", () => restart("primary", "worker-deployment")],
]) {
  test(`${name}: no request fails, no answer is lost`, { timeout: 180_000 }, async () => {
    const report = await during(name, something);
    assert.equal(report.failed, 0);
    assert.equal(report.lost, 0);
  });
}

for (const [name, something] of [
  ["the watcher is restarted", () => restart("primary", "istiowatcher-deployment")],
  ["the watcher is deleted", () => deletePod("primary", "istiowatcher")],
]) {
  test(`${name}: the load stays where it is`, { timeout: 180_000 }, async () => {
    const report = await during(name, something);
    assert.deepEqual([report.failed, report.lost, await weights()], [0, 0, "0 100"]);
  });
}

test("a watcher that was deleted brings the load home when it should, and sends it out again", { timeout: 180_000 }, async () => {
  await visitor.ask(5);
  await visitor.comesTo(false, 90);
  await visitor.ask(RATE);
  await visitor.comesTo(true, 60);
});

for (const [name, something] of [
  ["Redis is deleted", () => deletePod("primary", "redis-cache")],
  ["Redis is restarted", () => restart("primary", "redis-cache")],
]) {
  test(`${name}: requests fail while it is away, and go on after it`, { timeout: 180_000 }, async () => {
    const report = await during(name, something);
    assert.ok(report.failed > 0, "it was away");
    assert.equal(report.lost, 0);
    const after = await during(`after: ${name}`, () => {});
    assert.deepEqual([after.failed, after.lost], [0, 0]);
  });
}

test("a burst that failed with Redis is tried again, and has the load again", { timeout: 300_000 }, async () => {
  console.log(`trusted again after ${(await visitor.comesTo(true, 280)).toFixed(1)} s`);
});

for (const [name, something] of [
  ["the frontend is deleted", () => deletePod("primary", "frontend")],
  ["the frontend is restarted", () => restart("primary", "frontend-deployment")],
]) {
  test(`${name}: visitors are back by themselves, and the load when one asks for it`, { timeout: 180_000 }, async () => {
    const seconds = await secondsOf(async () => {
      await something();
      await eventually("the client is connected to the new one", () => visitor.socket.connected && visitor.stats.freq === 0, 60);
    });
    console.log(`${name}: back after ${seconds.toFixed(1)} s`);
    await visitor.ask(RATE);
    const report = await during(`after: ${name}`, () => {});
    assert.ok(report.answered > RATE * 5, String(report.answered));
    assert.deepEqual([report.failed, report.lost], [0, 0]);
  });
}
