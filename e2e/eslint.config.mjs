// The rules for the JavaScript of the end-to-end tests of the page and of the report. scripts/lint applies them.

import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/node_modules/", "**/target/", "e2e/out/"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      "eqeqeq": "error",
      "no-promise-executor-return": "error",
      "no-self-compare": "error",
      "no-shadow": "error",
      "no-template-curly-in-string": "error",
      "no-unreachable-loop": "error",
      "no-unused-expressions": "error",
      "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
  // The tests hand functions to Chromium, which run in the page.
  { files: ["e2e/**"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
  // The page loads two libraries as scripts, each of which defines one global.
  { files: ["crates/frontend/web/**"], languageOptions: { globals: { ...globals.browser, io: "readonly", uPlot: "readonly" } } },
  // The report joins its files to one module. Comments in each file name what it takes from the others and gives to them.
  {
    files: ["crates/watcher/web/**"],
    languageOptions: { sourceType: "script", globals: globals.browser },
    rules: { "no-unused-vars": ["error", { vars: "all" }] },
  },
  // This one is no module, because it runs before the browser draws the page.
  { files: ["crates/frontend/web/first.js"], languageOptions: { sourceType: "script" } },
];
