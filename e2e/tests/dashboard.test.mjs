// The dashboard of the controller: Grafana's schema, PromQL in promtool, and the names of the metrics.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { read, readYaml } from "../lib/chart.mjs";
import { LEFT_OUT, root } from "../lib/environment.mjs";

const FILE = "k8s/controller/monitoring/dashboard.json";
const dashboard = JSON.parse(read(FILE));
const panels = dashboard.panels.filter(({ type }) => type !== "row");
const queries = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr]));
const variables = new Set(dashboard.templating.list.map(({ name }) => name));

const folder = mkdtempSync(path.join(tmpdir(), "istio-burst-dashboard-"));
after(() => rmSync(folder, { recursive: true }));

test("Grafana's schema knows all of the dashboard", { skip: LEFT_OUT.has("lab") && "Go is left out with the lab" }, () => {
  const check = (file) => execFileSync(process.env.DASHBOARD_CHECK ?? "dashboard", [file], { cwd: root, encoding: "utf8", stdio: "pipe" });
  check(FILE);
  // The kinds of panels whose options the check knows.
  assert.deepEqual([...new Set(panels.map(({ type }) => type))].sort(), ["stat", "state-timeline", "timeseries"]);
  const wrong = structuredClone(dashboard);
  wrong.panels.find(({ type }) => type === "timeseries").fieldConfig.defaults.custom.lineColour = "red";
  writeFileSync(path.join(folder, "wrong.json"), JSON.stringify(wrong));
  assert.throws(() => check(path.join(folder, "wrong.json")), /lineColour/);
});

test("each panel has a description, a unit, the chosen data source and a place of its own", () => {
  const places = new Set();
  for (const { title, description, fieldConfig, datasource, targets, gridPos } of panels) {
    assert.ok(description?.endsWith("."), title);
    assert.ok(fieldConfig.defaults.unit, title);
    for (const { uid } of [datasource, ...targets.map((target) => target.datasource)]) assert.equal(uid, "$".concat("{datasource}"), title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        assert.ok(x < 24 && !places.has(`${x} ${y}`), `${title} overlaps`);
        places.add(`${x} ${y}`);
      }
    }
  }
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

test("each query of the dashboard is PromQL", { skip: LEFT_OUT.has("prometheus") && "without Prometheus" }, () => {
  const rules = queries.map(([, expr], index) => {
    for (const [, name] of expr.matchAll(/\$(\w+)/g)) assert.ok(variables.has(name) || name === "__rate_interval", expr);
    return { record: `panel:${index}`, expr: expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$\w+/g, ".*") };
  });
  const file = path.join(folder, "rules.yaml");
  writeFileSync(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
  const printed = execFileSync("promtool", ["check", "rules", "--lint-fatal", file], { encoding: "utf8" });
  assert.match(printed, new RegExp(`SUCCESS: ${queries.length} rules found`));
});

test("the queries of policies follow the variables, which by default include a watcher without their labels", () => {
  const OF_ALL = ["Policies at work", "Policies refused"];
  for (const [title, expr] of queries) {
    if (OF_ALL.includes(title)) continue;
    const selectors = [...expr.matchAll(/watcher_\w+(\{[^}]*\})?/g)].map(([, selector]) => selector ?? "");
    for (const selector of selectors) assert.match(selector, /namespace=~"\$namespace",policy=~"\$policy"/, `${title}: ${expr}`);
  }
  for (const { name, allValue, current } of dashboard.templating.list.filter(({ type }) => type === "query")) {
    assert.equal(allValue, ".*", name);
    assert.deepEqual(current.value, ["$__all"], name);
  }
});

test("the manuals name each metric of the dashboard and of the alerts", () => {
  const named = new Set((read("docs/watcher.md") + read("docs/burstpolicy.md")).match(/watcher_\w+/g));
  const rules = readYaml("k8s/controller/monitoring/alerts.yaml").spec.groups.flatMap(({ rules: all }) => all);
  for (const expr of [...queries.map(([, query]) => query), ...rules.map((rule) => rule.expr)]) {
    for (const metric of expr.match(/watcher_\w+/g)) assert.ok(named.has(metric.replace(/_bucket$/, "")), metric);
  }
});
