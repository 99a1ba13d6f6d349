// Where the repository, the programs and the suite's output are, and which parts a run leaves out.

import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
/** The folder of logs and screenshots. */
export const outputFolder = path.join(root, "e2e", "out");
export const binaries = path.resolve(root, process.env.BINARIES ?? "target/debug");

/** The parts that `scripts/e2e --without` leaves out. */
export const LEFT_OUT = new Set((process.env.WITHOUT ?? "").split(",").filter(Boolean));
