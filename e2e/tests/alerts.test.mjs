// The alerting rules of docs/watcher.md, in promtool.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { LEFT_OUT, root } from "../lib/environment.mjs";

const skip = LEFT_OUT.has("prometheus") && "without Prometheus";
const folder = mkdtempSync(path.join(tmpdir(), "istio-burst-alerts-"));
after(() => rmSync(folder, { recursive: true }));

const promtool = (...args) => execFileSync("promtool", args, { cwd: folder, encoding: "utf8" });

/** Returns the YAML blocks of a Markdown file that contain `words`. */
function yamlBlocks(file, words) {
  const blocks = readFileSync(path.join(root, file), "utf8").matchAll(/^```yaml\n(.*?)^```$/gms);
  return [...blocks].map(([, block]) => block).filter((block) => block.includes(words));
}

test("the alerts of docs/watcher.md fire when they should, and none on a fresh idle installation", { skip }, () => {
  const [rules, ...others] = yamlBlocks("docs/watcher.md", "alert: WatcherAbsent");
  assert.deepEqual(others, []);
  writeFileSync(path.join(folder, "rules.yaml"), rules);
  copyFileSync(path.join(root, "e2e/tests/alerts.yaml"), path.join(folder, "alerts.yaml"));
  assert.match(promtool("check", "rules", "--lint-fatal", "rules.yaml"), /SUCCESS: 15 rules found/);
  assert.match(promtool("test", "rules", "alerts.yaml"), /SUCCESS/);
});
