// The lab leaves the machine as it was, even if something interrupted it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { root } from "../lib/environment.mjs";
import { eventually } from "../lib/waiting.mjs";

const shell = (command) => execFileSync("bash", ["-c", command], { cwd: root, encoding: "utf8" });

/** The folders of the lab, and of its process ids. */
const [STATE, RUN] = shell(". e2e/lab.d/settings.sh && echo $STATE $RUN").trim().split(" ");

/** Returns everything on this machine that a lab could leave behind or change. */
const machine = () => ({
  mounts: shell("cut -d' ' -f2,3 /proc/self/mounts | sort"),
  links: shell("ip -br link | cut -d' ' -f1"),
  routes: shell("ip route; ip -6 route | grep -vE 'lab2?-'"),
  cgroups: shell("find /sys/fs/cgroup -type d | sort"),
  kernel: shell("sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys net.ipv4.ip_forward net.ipv4.conf.all 2>/dev/null"),
  rules: shell("nft list ruleset 2>/dev/null || true"),
  // Without zombies: they have ended, and only wait for their parents.
  processes: shell("ps -eo stat=,comm= | grep -v ^Z | awk '{ print $2 }' | grep -E 'kube|etcd|containerd|coredns|envoy|pilot|^pause$|unshare' | sort || true"),
});

for (const [when, interrupt] of [
  ["as it makes its machines", () => existsSync(`${RUN}/primary.pid`)],
  ["as its nodes start", () => existsSync(`${STATE}/burst/log/kubelet.log`)],
]) {
  test(`"up" is killed ${when}: after "down" nothing is left`, { timeout: 240_000 }, async () => {
    const before = machine();
    const up = spawn("e2e/lab", ["up", "clusters"], { cwd: root, stdio: "ignore", detached: true });
    await eventually("it is at that point", interrupt, 110);
    process.kill(-up.pid, "SIGKILL");
    await once(up, "close");
    shell("e2e/lab down");
    await sleep(500);
    assert.deepEqual(machine(), before);
  });
}

test("an API server was stopped for a while: after \"down\" nothing is left", { timeout: 240_000 }, () => {
  const before = machine();
  shell("e2e/lab up clusters");
  for (const signal of ["STOP", "CONT"]) shell(`e2e/lab in primary pkill -${signal} -x kube-apiserver && sleep 1`);
  shell("e2e/lab down");
  assert.deepEqual(machine(), before);
});

test("\"down\" without a lab is no error, and \"up\" refuses unknown arguments", () => {
  shell("e2e/lab down");
  assert.throws(() => shell("e2e/lab up everything"), /accepted: clusters, or nothing/);
  assert.throws(() => shell("e2e/lab status"), /not up/);
});
