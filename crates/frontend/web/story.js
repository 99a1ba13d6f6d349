// Plays the story: a low rate, then higher rates that burst into the second cluster, then back.

import { element, showMessage } from "./dom.js";
import { MAX_RATE } from "./settings.js";
import { thresholdsOf } from "./watcher.js";

// The thresholds until the watcher tells its own: its defaults.
const DEFAULT_THRESHOLDS = { burstAbove: 15, homeBelow: 10 };
// Milliseconds.
const TIME_TO_SEE = 10_000;
const MAX_ACT_TIME = 90_000;
// Keys that only navigate do not stop the story.
const NAVIGATION_KEYS = ["Alt", "ArrowDown", "ArrowUp", "Control", "End", "Home", "Meta", "PageDown", "PageUp", "Shift", "Tab"];

export class Story {
  #request;
  #thresholds = DEFAULT_THRESHOLDS;
  #acts = [];
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
    // A key that presses the button causes a click, too.
    document.addEventListener("click", ({ target }) => (target === this.#button && !this.#isPlaying() ? this.#begin() : this.#stopByVisitor("clicked")));
    document.addEventListener("keydown", ({ key, target }) => {
      const pressesButton = target === this.#button && ["Enter", " "].includes(key);
      if (!pressesButton && !NAVIGATION_KEYS.includes(key)) this.#stopByVisitor("pressed a key");
    });
  }

  /** Takes the thresholds from an update of the watcher. While it is away, its last ones stay. */
  setWatcher({ status }) {
    if (!status) return;
    // Spill has one threshold. To bring the traffic home, the demo's guide enters a third of it, and a half of home_below.
    const [burstAbove, homeBelow = (burstAbove * 2) / 3] = thresholdsOf(status).map(([rate]) => rate);
    this.#thresholds = { burstAbove, homeBelow };
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
    const obstacle = obstacleTo(this.#thresholds);
    if (obstacle) {
      showMessage("act", `The story cannot play: ${obstacle}.`);
      return;
    }
    this.#acts = actsFor(this.#thresholds);
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
    showMessage("act", `${act + 1} of ${this.#acts.length}: ${this.#acts[act].text}`);
    const isAccepted = await this.#request(this.#acts[act].freq);
    if (this.#act === act && !isAccepted) this.stop("The story stopped: the frontend refused its frequency.");
  }
}

/** Why the allowed rates cannot cross these thresholds; undefined if they can. */
function obstacleTo({ burstAbove, homeBelow }) {
  // The watcher may take longer than an act to prove that a lower rate is above the threshold.
  const needed = Math.ceil((burstAbove * 6) / 5);
  if (needed > MAX_RATE) return `it needs ${needed} a second to burst, and this page allows at most ${MAX_RATE}`;
  // At less than one result a second, the recent reports do not always have one.
  return homeBelow / 2 < 1 ? "the traffic comes home only at rates that are too low to show" : undefined;
}

/**
 * The acts for these thresholds. An act lasts until the results come from the expected cluster, and some seconds more.
 *
 * The rates are 5, 20 and 40. If one of them is too close to a threshold, the rule of the demo's guide takes its place
 * (crates/local/src/guide.rs).
 */
function actsFor({ burstAbove, homeBelow }) {
  const low = Math.min(5, Math.floor(homeBelow / 2));
  const high = Math.min(Math.max(20, Math.ceil((burstAbove * 4) / 3)), MAX_RATE);
  const higher = Math.min(Math.max(40, Math.ceil((burstAbove * 8) / 3)), MAX_RATE);
  const isHome = (burst) => burst === 0;
  const hasBurst = (burst) => burst >= 0.2;
  const acts = [
    { freq: low, isReached: isHome, text: `${low} a second. Primary carries all of it.` },
    { freq: high, isReached: hasBurst, text: `${high} a second. That is more than primary is meant to carry: watch it burst.` },
    { freq: higher, isReached: hasBurst, text: `${higher} a second. Burst carries that, too.` },
    { freq: low, isReached: isHome, text: `${low} again. After some quiet time, the traffic comes home.` },
  ];
  // The highest allowed rate may leave no room for the third act.
  return acts.filter(({ freq }, act) => freq !== acts[act - 1]?.freq);
}
