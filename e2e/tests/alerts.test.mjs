// The alerting rules of k8s/controller/monitoring, in promtool.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { read, readYaml } from "../lib/chart.mjs";
import { LEFT_OUT, root } from "../lib/environment.mjs";

const skip = LEFT_OUT.has("prometheus") && "without Prometheus";
const folder = mkdtempSync(path.join(tmpdir(), "istio-burst-alerts-"));
after(() => rmSync(folder, { recursive: true }));

const promtool = (...args) => execFileSync("promtool", args, { cwd: folder, encoding: "utf8" });

test("the alerts fire when they should, and none on a fresh idle installation", { skip }, () => {
  // What stands below `spec` is a rule file; JSON is YAML, too.
  const { spec } = readYaml("k8s/controller/monitoring/alerts.yaml");
  writeFileSync(path.join(folder, "rules.yaml"), JSON.stringify(spec));
  copyFileSync(path.join(root, "e2e/tests/alerts.yaml"), path.join(folder, "alerts.yaml"));
  assert.match(promtool("check", "rules", "--lint-fatal", "rules.yaml"), /SUCCESS: 21 rules found/);
  assert.match(promtool("test", "rules", "alerts.yaml"), /SUCCESS/);
});

test("docs/watcher.md says what each alert means", () => {
  const { groups } = readYaml("k8s/controller/monitoring/alerts.yaml").spec;
  const alerts = groups.flatMap(({ rules }) => rules).map(({ alert }) => alert);
  const named = [...read("docs/watcher.md").matchAll(/^\| `(Watcher\w+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(named, alerts);
});
