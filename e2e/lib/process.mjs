// A child process whose output the test can read.

import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import path from "node:path";

import { binaries, outputFolder } from "./environment.mjs";

/** A child process. It writes its output to a log in the output folder, too. */
export class Process {
  constructor(name, command, args, env = {}, options = {}) {
    mkdirSync(outputFolder, { recursive: true });
    this.name = name;
    this.output = "";
    this.child = spawn(command, args, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...options,
    });
    const log = createWriteStream(path.join(outputFolder, `${name}.log`), { flags: "a" });
    log.write(`--- ${command} ${args.join(" ")}\n`);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on("data", (data) => {
        this.output += data;
        log.write(data);
      });
    }
    this.ended = new Promise((resolve) => {
      this.child.on("error", (error) => resolve({ error }));
      this.child.on("close", (code, signal) => resolve({ code, signal }));
    });
  }

  /** Starts one of the project's programs. */
  static ours(program, env, options, name = program) {
    return new Process(name, path.join(binaries, program), [], env, options);
  }

  signal(signal) {
    this.child.kill(signal);
  }

  async stop(signal = "SIGKILL") {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.ended;
  }
}
