// Reads docs/codelab.md: the commands, the output that the reader should see, and what the page shows.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import { root } from "./environment.mjs";

const MARKS = { "*Run by the suite:*": "run", "*Not run here": "not run", "*You should see:*": "see" };
const PAGE = /^\*On the page\*(?: `([^`]+)`)?: enter `(\d+)`\. (.+)$/;

/**
 * Returns the steps of the document in their order. Each has its `section` and the `line` where it begins. A step in the
 * shell has a `text`, and `seen` if the document shows the output. A step on the page has a `url`, what to `enter`, and
 * what the page `shows` then.
 */
export function steps() {
  const found = [];
  let section = "";
  let mark;
  let block;
  const endBlock = () => {
    if (block.language === "text") found.at(-1).seen = block.text;
    else if (block.language === "sh") found.push({ ...block, section, isRun: mark === "run" });
    block = undefined;
  };
  readFileSync(path.join(root, "docs/codelab.md"), "utf8").split("\n").forEach((text, index) => {
    const line = index + 1;
    if (block) {
      if (text === "```") endBlock();
      else block.text += `${text}\n`;
      return;
    }
    const began = Object.entries(MARKS).find(([start]) => text.startsWith(start));
    if (began) mark = began[1];
    if (text.startsWith("## ")) section = text.slice(3);
    if (text.startsWith("*On the page*") && !PAGE.test(text)) throw new Error(`docs/codelab.md:${line}: not understood: ${text}`);
    const [, url, enter, shows] = text.match(PAGE) ?? [];
    if (enter) found.push({ line, section, url, enter, shows, isRun: true });
    const language = text.match(/^```(\w+)$/)?.[1];
    if (!language) return;
    const isMarked = { sh: mark === "run" || mark === "not run", text: mark === "see" && found.at(-1)?.isRun, mermaid: true, rust: true }[language];
    if (!isMarked) throw new Error(`docs/codelab.md:${line}: a block of ${language} without a mark before it`);
    block = { line, language, text: "" };
  });
  return found;
}

/** Returns the pattern of a sample of output. `…` matches anything within a line, and on a line of its own any lines. */
export function pattern(sample) {
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const anyLines = "(?:[^\\n]*\\n)*?";
  const oneLine = (line) => `${line.split("…").map(escaped).join("[^\\n]*?")}[^\\n]*(?:\\n|$)`;
  return new RegExp(sample.trimEnd().split("\n").map((line) => (line === "…" ? anyLines : oneLine(line))).join(""));
}

/** One shell for all commands, as the reader has. */
export class Shell {
  #child = spawn("bash", ["--norc"], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  #output = "";
  #count = 0;

  constructor() {
    this.#child.stdout.on("data", (data) => { this.#output += data; });
    this.#child.stdin.write("exec 2>&1\n");
  }

  /** Runs commands. Returns what they print, and the status of the last. */
  async run(text) {
    this.#count += 1;
    const endMark = `-- end of ${this.#count}:`;
    this.#output = "";
    this.#child.stdin.write(`${text}\necho "${endMark} $?"\n`);
    for (;;) {
      const at = this.#output.indexOf(endMark);
      const status = at >= 0 && this.#output.slice(at).match(/: (\d+)\n/);
      if (status) return { printed: this.#output.slice(0, at), status: Number(status[1]) };
      if (this.#child.exitCode !== null) throw new Error(`the shell has ended: ${this.#output}`);
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }

  end() {
    this.#child.stdin.end("kill $(jobs -p) 2>/dev/null\nexit\n");
  }
}
