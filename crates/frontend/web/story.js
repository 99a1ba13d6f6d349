// Plays the story: a low rate, then higher rates that burst into the second cluster, then back.

import { element, showMessage } from "./dom.js";
import { MAX_RATE } from "./settings.js";

// An act lasts until the results come from the expected cluster, and some seconds more.
const ACTS = [
  { freq: 5, isReached: (burst) => burst === 0, text: "Five a second: primary carries all of it." },
  { freq: 20, isReached: (burst) => burst >= 0.2, text: "Twenty a second: more than primary is meant to carry. Watch it burst." },
  { freq: 40, isReached: (burst) => burst >= 0.2, text: "Forty a second: burst carries that, too." },
  { freq: 5, isReached: (burst) => burst === 0, text: "Five again: after some quiet time, the traffic comes home." },
];
// The highest rate that the story needs to burst.
const MIN_MAX_RATE = 20;
// Milliseconds.
const TIME_TO_SEE = 10_000;
const MAX_ACT_TIME = 90_000;
// Keys that only navigate do not stop the story.
const NAVIGATION_KEYS = ["Alt", "ArrowDown", "ArrowUp", "Control", "End", "Home", "Meta", "PageDown", "PageUp", "Shift", "Tab"];

export class Story {
  #request;
  #acts = ACTS.filter(({ freq }) => freq <= MAX_RATE);
  #act = -1;
  // When the act's frequency was requested, when it came into force, and since when the act is reached.
  #requestedAt;
  #inForceSince;
  #reachedSince;
  // Whether every act so far was reached in time.
  #isComplete;
  #button = element("play");

  /** `request` requests a frequency. */
  constructor(request) {
    this.#request = request;
    this.#button.hidden = MAX_RATE < MIN_MAX_RATE;
    // A key that presses the button causes a click, too.
    document.addEventListener("click", ({ target }) => (target === this.#button && !this.#isPlaying() ? this.#begin() : this.#stopByVisitor("clicked")));
    document.addEventListener("keydown", ({ key, target }) => {
      const pressesButton = target === this.#button && ["Enter", " "].includes(key);
      if (!pressesButton && !NAVIGATION_KEYS.includes(key)) this.#stopByVisitor("pressed a key");
    });
  }

  /** Observes a report, and the share of burst in the recent results. */
  observe(stats, burstShare) {
    if (!this.#isPlaying()) return;
    const { freq, isReached } = this.#acts[this.#act];
    const now = Date.now();
    if (stats.freq === freq) this.#inForceSince ??= now;
    // A report from before the act may still arrive, so another frequency counts only later.
    else if (this.#inForceSince !== undefined) this.stop(`The story stopped: ${stats.stop_reason ?? "somebody requested another frequency"}.`);
    if (this.#inForceSince === undefined) {
      if (now - this.#requestedAt >= TIME_TO_SEE) this.stop("The story stopped: its frequency did not come into force.");
      return;
    }
    if (burstShare === undefined || !isReached(burstShare)) this.#reachedSince = undefined;
    else this.#reachedSince ??= now;
    if (now - (this.#reachedSince ?? Infinity) >= TIME_TO_SEE && now - this.#inForceSince >= TIME_TO_SEE) this.#play(this.#act + 1);
    else if (now - this.#inForceSince >= MAX_ACT_TIME) {
      this.#isComplete = false;
      this.#play(this.#act + 1);
    }
  }

  /** Stops the story if it plays. The frequency stays in force. */
  stop(text) {
    if (!this.#isPlaying()) return;
    this.#act = -1;
    this.#inForceSince = undefined;
    this.#button.textContent = "Play the story";
    showMessage("act", text);
  }

  #stopByVisitor(action) {
    this.stop(`The story stopped: you ${action}. Its frequency stays in force.`);
  }

  #isPlaying() {
    return this.#act >= 0;
  }

  #begin() {
    this.#isComplete = true;
    this.#play(0);
  }

  async #play(act) {
    if (act === this.#acts.length) {
      this.stop(this.#isComplete ? "The end: the traffic burst, and came home." : "The end, but the traffic did not always move. The watcher shows why.");
      return;
    }
    this.#act = act;
    this.#requestedAt = Date.now();
    this.#inForceSince = undefined;
    this.#reachedSince = undefined;
    this.#button.textContent = "Stop the story";
    showMessage("act", `${act + 1} of ${this.#acts.length}. ${this.#acts[act].text}`);
    const isAccepted = await this.#request(this.#acts[act].freq);
    if (this.#act === act && !isAccepted) this.stop("The story stopped: the frontend refused its frequency.");
  }
}
