// docs/codelab.md, as what it asks its reader to do: commands, what they print, and what the page shows.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import { root } from "./support.mjs";

const MARKS = { "*Run by the suite:*": "run", "*Not run here": "not run", "*You should see:*": "see" };
const PAGE = /^\*On the page\*(?: `([^`]+)`)?: enter `(\d+)`\. (.+)$/;

/**
 * The steps of the document in their order: each has a `section`, and a `line` where it begins. Commands have a `text` and what is to be
 * seen, if the document says so; steps on the page a `url`, what is to be entered, and what the page shows then.
 */
export function steps() {
  const found = [];
  let section = "";
  let mark;
  let block;
  readFileSync(path.join(root, "docs/codelab.md"), "utf8").split("\n").forEach((text, index) => {
    const line = index + 1;
    if (block) {
      if (text !== "```") block.text += `${text}\n`;
      else {
        if (block.language === "text") found.at(-1).seen = block.text;
        else if (block.language === "sh") found.push({ ...block, section, isRun: mark === "run" });
        block = undefined;
      }
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
    const isMarked = { sh: mark === "run" || mark === "not run", text: mark === "see" && found.at(-1)?.isRun, mermaid: true }[language];
    if (!isMarked) throw new Error(`docs/codelab.md:${line}: a block of ${language} without a mark before it`);
    block = { line, language, text: "" };
  });
  return found;
}

/** What a sample of output stands for: `…` is whatever is different each time, on a line of its own any lines. */
export function pattern(sample) {
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const ofLine = (line) => `${line.split("…").map(escaped).join("[^\\n]*?")}[^\\n]*`;
  // Also none.
  return new RegExp(sample.trimEnd().split("\n").map((line) => (line === "…" ? "(?:[^\\n]*\\n)*?" : `${ofLine(line)}(?:\\n|$)`)).join(""));
}

/** One shell for all commands, as a reader's. */
export class Shell {
  #child = spawn("bash", ["--norc"], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  #output = "";
  #count = 0;

  constructor() {
    this.#child.stdout.on("data", (data) => { this.#output += data; });
    this.#child.stdin.write("exec 2>&1\n");
  }

  /** Runs commands; returns what they print, and the status of the last. */
  async run(text) {
    this.#count += 1;
    const end = `-- end of ${this.#count}:`;
    this.#output = "";
    this.#child.stdin.write(`${text}\necho "${end} $?"\n`);
    for (;;) {
      const at = this.#output.indexOf(end);
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
