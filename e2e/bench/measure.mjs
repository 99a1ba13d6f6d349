// Processor time, memory, medians and tables for all measurements.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Returns the processor time of a process in seconds, and its memory in MiB: now, at most, and without mapped files. */
export function usage(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mib = (name) => Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))[1]) / 1024;
  return { seconds: (Number(stat[11]) + Number(stat[12])) / 100, mib: mib("VmRSS"), mostMib: mib("VmHWM"), ownMib: mib("RssAnon") + mib("RssShmem") };
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Prints rows as a table in Markdown. A row's cells are numbers by column; a missing one becomes a dash. */
export function table(title, columns, rows) {
  console.log(`| ${title} | ${columns.join(" | ")} |`);
  console.log(`| --- | ${columns.map(() => "---:").join(" | ")} |`);
  for (const [name, cells] of rows) {
    const texts = columns.map((column) => (Number.isFinite(cells[column]) ? Number(cells[column].toFixed(3)) : "–"));
    console.log(`| ${name} | ${texts.join(" | ")} |`);
  }
  const output = (command, ...args) => execFileSync(command, args, { encoding: "utf8" }).trim();
  console.log(`\n${output("uname", "-srm")}, ${output("nproc")} processors, ${new Date().toISOString().slice(0, 10)}\n`);
}
