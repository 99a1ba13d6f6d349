// The Helm chart and the kustomizations of the controller, as real programs render them.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import yaml from "js-yaml";

import { root } from "./environment.mjs";

export const CHART = "charts/istiowatcher";

const run = (program, args, input) =>
  execFileSync(program, args, { cwd: root, encoding: "utf8", input, maxBuffer: 1 << 26, stdio: ["pipe", "pipe", "pipe"] });

/** Runs helm with values, and returns what it prints. */
export const helm = (command, values = {}) =>
  run(process.env.HELM ?? "helm", [...command, "--values", "-"], JSON.stringify(values));

/** Returns why helm refuses to render the chart with these values. */
export function refusal(values) {
  try {
    helm(["template", "istiowatcher", CHART], values);
  } catch (error) {
    return error.stderr;
  }
  throw new Error(`helm renders ${JSON.stringify(values)}`);
}

/** Returns the objects of the chart. */
export const chartObjects = (values, { release = "istiowatcher", namespace = "istiowatcher-system" } = {}) =>
  objectsByName(helm(["template", release, CHART, "--namespace", namespace], values));

/** Returns the objects of a kustomization. */
export const kustomizationObjects = (folder) => objectsByName(run(process.env.KUBECTL ?? "kubectl", ["kustomize", folder]));

function objectsByName(text) {
  const objects = yaml.loadAll(text).filter(Boolean);
  const names = objects.map(({ kind, metadata }) => [kind, metadata.namespace, metadata.name].filter(Boolean).join(" "));
  if (new Set(names).size !== names.length) throw new Error(`two objects have one name: ${names.sort().join(", ")}`);
  return new Map(names.map((name, index) => [name, objects[index]]));
}

export const read = (file) => readFileSync(path.join(root, file), "utf8");
export const readYaml = (file) => yaml.load(read(file));
