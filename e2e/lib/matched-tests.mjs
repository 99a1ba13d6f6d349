// A reporter for `scripts/e2e --grep`: it prints the names of the tests that a name pattern selects.

const NOT_SELECTED = "test name does not match pattern";

export default async function* matchedTests(events) {
  for await (const { type, data } of events) {
    const isResult = type === "test:pass" || type === "test:fail";
    if (!isResult || data.skip === NOT_SELECTED) continue;
    // A file without a selected test may be reported as a test of its own.
    if (!data.name.endsWith(".mjs")) yield `${data.name}\n`;
  }
}
