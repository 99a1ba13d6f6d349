// The Helm chart, in real Helm: it describes the same objects as the kustomizations, and refuses wrong values.

import assert from "node:assert/strict";
import { test } from "node:test";

import yaml from "js-yaml";

import { CHART, chartObjects, helm, kustomizationObjects, read, readYaml, refusal } from "../lib/chart.mjs";
import { LEFT_OUT } from "../lib/environment.mjs";

const skip = LEFT_OUT.has("lab") && "Helm is left out with the lab";
const MONITORING = { prometheusRule: { enabled: true }, podMonitor: { enabled: true }, dashboard: { enabled: true } };
const STANDARD_LABELS = /^(app\.kubernetes\.io|helm\.sh)\//;

/** Each value of the chart, and another one that is accepted. */
const CHANGED = {
  "image.repository": "registry.example/istiowatcher",
  "image.tag": "1.2.3",
  "image.pullPolicy": "Always",
  "image.pullSecrets": [{ name: "credentials" }],
  replicas: 3,
  watchNamespace: "shop",
  prometheusURL: "https://prometheus.example/team-a",
  logFormat: "text",
  env: [{ name: "RUST_LOG", value: "debug" }],
  volumes: [{ name: "ca", configMap: { name: "prometheus-ca" } }],
  volumeMounts: [{ name: "ca", mountPath: "/etc/prometheus-ca" }],
  "resources.requests": { cpu: 1 },
  "resources.limits": { memory: "1Gi" },
  "resources.claims": [{ name: "claim" }],
  nodeSelector: { pool: "system" },
  tolerations: [{ key: "system", operator: "Exists" }],
  affinity: { nodeAffinity: {} },
  podAnnotations: { "example.com/team": "traffic" },
  fullnameOverride: "burst",
  "serviceAccount.create": false,
  "serviceAccount.name": "mover",
  "serviceAccount.annotations": { "example.com/role": "mover" },
  "rbac.create": false,
  "crds.install": false,
  "networkPolicy.enabled": false,
  "podDisruptionBudget.enabled": false,
  "monitoring.prometheusRule.enabled": false,
  "monitoring.prometheusRule.labels": { release: "prometheus" },
  "monitoring.podMonitor.enabled": false,
  "monitoring.podMonitor.labels": { release: "prometheus" },
  "monitoring.dashboard.enabled": false,
  "monitoring.dashboard.labels": { folder: "traffic" },
};

/** Returns values of which one is set, by its path. */
function valuesWith(place, value, values = {}) {
  const keys = place.split(".");
  const last = keys.pop();
  keys.reduce((part, key) => (part[key] ??= {}), values)[last] = value;
  return values;
}

/** Returns the paths of all values that the schema names. */
const schemaPlaces = ({ properties = {} }, before = "") =>
  Object.entries(properties).flatMap(([key, schema]) =>
    schema.properties ? schemaPlaces(schema, `${before}${key}.`) : [`${before}${key}`]);

/** Removes what only Helm adds: its labels, and the annotation that keeps the definition. */
function withoutHelm(objects) {
  for (const { metadata, spec } of objects.values()) {
    for (const labels of [metadata.labels, spec?.template?.metadata.labels]) {
      for (const label of Object.keys(labels ?? {})) if (STANDARD_LABELS.test(label)) delete labels[label];
    }
    delete metadata.annotations?.["helm.sh/resource-policy"];
    for (const part of ["labels", "annotations"]) {
      if (Object.keys(metadata[part] ?? {}).length === 0) delete metadata[part];
    }
  }
  return objects;
}

/** Asserts that the chart and a kustomization have equal objects. */
function assertEqual(chart, folder) {
  const wanted = kustomizationObjects(folder);
  wanted.delete("Namespace istiowatcher-system");
  const found = withoutHelm(chart);
  assert.deepEqual([...found.keys()].sort(), [...wanted.keys()].sort());
  for (const [name, object] of wanted) assert.deepEqual(found.get(name), object, name);
}

/** Asserts that the objects of a release find one another. */
function assertConsistent(objects, namespace) {
  const all = [...objects.values()];
  const pods = all.find(({ kind }) => kind === "Deployment").spec;
  const { labels } = pods.template.metadata;
  for (const { kind, spec } of all) {
    const selector = kind === "Service" ? spec.selector : (spec?.podSelector ?? spec?.selector)?.matchLabels;
    for (const [label, value] of Object.entries(selector ?? {})) assert.equal(labels[label], value, `${kind}: ${label}`);
  }
  const account = pods.template.spec.serviceAccountName;
  assert.ok(objects.has(`ServiceAccount ${namespace} ${account}`), account);
  for (const { metadata, roleRef, subjects } of all.filter((object) => object.roleRef)) {
    const role = [roleRef.kind, metadata.namespace, roleRef.name].filter(Boolean).join(" ");
    assert.ok(objects.has(role), role);
    assert.deepEqual(subjects, [{ kind: "ServiceAccount", name: account, namespace }]);
  }
  const { env } = pods.template.spec.containers[0];
  const lease = env.find(({ name }) => name === "LEASE")?.value ?? "istiowatcher";
  const leases = all.flatMap(({ rules }) => rules ?? []).flatMap(({ resourceNames }) => resourceNames ?? []);
  assert.deepEqual(leases, [lease]);
  for (const { kind, metadata } of all) {
    assert.ok(kind === "CustomResourceDefinition" || metadata.name.length <= 63, metadata.name);
  }
}

test("Helm finds nothing to correct in the chart", { skip }, () => {
  assert.match(helm(["lint", "--strict", CHART]), /0 chart\(s\) failed/);
  assert.match(helm(["lint", "--strict", CHART], { monitoring: MONITORING, watchNamespace: "shop" }), /0 chart\(s\) failed/);
});

test("the chart has the objects of k8s/controller", { skip }, () => assertEqual(chartObjects(), "k8s/controller"));

test("the chart for one namespace has the objects of k8s/controller/namespaced", { skip }, () =>
  assertEqual(chartObjects({ watchNamespace: "default" }), "k8s/controller/namespaced"));

test("the chart's monitoring has the objects of k8s/controller/monitoring", { skip }, () => {
  const base = chartObjects();
  const objects = [...chartObjects({ monitoring: MONITORING })].filter(([name]) => !base.has(name));
  assertEqual(new Map(objects), "k8s/controller/monitoring");
});

test("the definition outlives the release", { skip }, () => {
  const definition = chartObjects().get("CustomResourceDefinition burstpolicies.burst.istiowatcher.dev");
  assert.equal(definition.metadata.annotations["helm.sh/resource-policy"], "keep");
});

test("a release of any name, in any namespace, is consistent, and two of them share nothing", { skip }, () => {
  const names = ["traffic", "my-istiowatcher", "x".repeat(53), `istiowatcher-${"y".repeat(40)}`];
  const releases = names.map((release) => {
    const objects = chartObjects({ monitoring: MONITORING, watchNamespace: "shop" }, { release, namespace: "platform" });
    assertConsistent(objects, "platform");
    return [...objects.keys()].filter((name) => !name.startsWith("CustomResourceDefinition"));
  });
  const all = releases.flat();
  assert.equal(new Set(all).size, all.length);
  assert.ok(all.every((name) => /^\w+ (platform|shop) /.test(name)), all.join(", "));
  assertConsistent(chartObjects(), "istiowatcher-system");
});

test("every value is in the schema, and changes what the chart renders", { skip }, () => {
  const places = schemaPlaces(JSON.parse(read(`${CHART}/values.schema.json`))).filter((place) => place !== "global");
  assert.deepEqual(Object.keys(CHANGED).sort(), places.sort());
  const rendered = (values) => JSON.stringify([...chartObjects(values)]);
  const before = rendered({ monitoring: MONITORING });
  const everything = {};
  for (const [place, value] of Object.entries(CHANGED)) {
    const values = valuesWith(place, value, { monitoring: structuredClone(MONITORING) });
    assert.notEqual(rendered(values), before, place);
    valuesWith(place, value, everything);
  }
  assert.ok(chartObjects(everything).has("Deployment istiowatcher-system burst"));
  assert.ok(!chartObjects({ replicas: 1 }).has("PodDisruptionBudget istiowatcher-system istiowatcher-controller"));
});

test("the chart refuses a wrong value, and names it", { skip }, () => {
  for (const [place, value] of [
    ["replica", 2], ["replicas", "two"], ["replicas", 0], ["watchNamespace", "a, b"], ["prometheusURL", "prometheus:9090"],
    ["logFormat", "xml"], ["image.pullPolicy", "Sometimes"], ["image.tag", "a b"], ["image.pullSecrets", ["credentials"]],
    ["env", { RUST_LOG: "debug" }], ["env", [{ value: "debug" }]], ["env", [{ name: "LEASE", value: "mine" }]],
    ["resources.limit", {}], ["podAnnotations", { "prometheus.io/scrape": true }], ["crds.install", "yes"],
    ["monitoring.dashboards", {}], ["monitoring.dashboard.enabled", 1], ["networkPolicy", false], ["serviceAccount", "mover"],
  ]) {
    const message = refusal(valuesWith(place, value));
    const [, key] = /(\w+)$/.exec(place);
    assert.match(message, new RegExp(`\\b${key}\\b`), `${place}: ${message}`);
  }
});

test("the notes show a policy that the definition knows", { skip }, () => {
  const notes = helm(["install", "istiowatcher", CHART, "--dry-run=client"], { watchNamespace: "shop" }).split("\nNOTES:\n")[1];
  const policy = yaml.load(notes.match(/^ {2}apiVersion: [^]*?(?=\n\n)/m)[0]);
  const definition = readYaml("k8s/controller/base/burstpolicy-crd.yaml").spec;
  const [{ name, schema }] = definition.versions;
  assert.equal(policy.apiVersion, `${definition.group}/${name}`);
  assert.equal(policy.kind, definition.names.kind);
  const unknown = (value, { properties }) => Object.keys(value).filter((key) => !(key in properties));
  const { spec } = schema.openAPIV3Schema.properties;
  assert.deepEqual(unknown(policy.spec, spec), []);
  for (const part of ["route", "signal", "capacity"]) assert.deepEqual(unknown(policy.spec[part], spec.properties[part]), []);
});

test("the chart has the version of the workspace", () => {
  const [, version] = /^version = "(.+)"$/m.exec(read("Cargo.toml"));
  const chart = readYaml(`${CHART}/Chart.yaml`);
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
});

// Helm reads only what is in the chart's folder.
test("the chart's copies are equal to the manifests", () => {
  for (const file of ["base/burstpolicy-crd.yaml", "monitoring/alerts.yaml", "monitoring/dashboard.json"]) {
    const [source, copy] = [`k8s/controller/${file}`, `${CHART}/files/${file.split("/").pop()}`];
    assert.ok(read(source) === read(copy), `they differ: cp ${source} ${copy}`);
  }
});
