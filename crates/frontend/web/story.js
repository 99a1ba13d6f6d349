// Plays the story: up, into the second cluster, further up, and home.

import { maxRate } from "./controls.js";
import { element, say } from "./dom.js";

// Each act goes on until the results come from where they should, and for some seconds more, to see it.
const ACTS = [
  { freq: 5, isThere: (burst) => burst === 0, words: "Five a second: once all of it is at home, primary has no trouble." },
  { freq: 20, isThere: (burst) => burst >= 0.2, words: "Twenty a second: more than primary is meant for. Watch them spill into burst." },
  { freq: 40, isThere: (burst) => burst >= 0.2, words: "Forty a second: burst takes that, too." },
  { freq: 5, isThere: (burst) => burst === 0, words: "Five again. Once it has been quiet for long enough, the traffic comes home." },
];
// Without it there is no story.
const LEAST_RATE = 20;
// Milliseconds.
const TO_SEE_IT = 10_000;
const LONGEST = 90_000;
// Keys that only look around.
const LOOKS = ["Alt", "ArrowDown", "ArrowUp", "Control", "End", "Home", "Meta", "PageDown", "PageUp", "Shift", "Tab"];

export class Story {
  #ask;
  #acts = ACTS.filter(({ freq }) => freq <= maxRate());
  #act = -1;
  // When its frequency was asked for, and first seen to be in force.
  #asked;
  #began;
  #there;
  #isSeen;
  #button = element("play");

  /** Takes what asks for a frequency. */
  constructor(ask) {
    this.#ask = ask;
    this.#button.hidden = maxRate() < LEAST_RATE;
    // What presses the button ends in a click.
    document.addEventListener("click", ({ target }) => (target === this.#button && !this.#isPlaying() ? this.#begin() : this.#stopBy("a click")));
    document.addEventListener("keydown", ({ key, target }) => {
      const pressesButton = target === this.#button && ["Enter", " "].includes(key);
      if (!pressesButton && !LOOKS.includes(key)) this.#stopBy("a key");
    });
  }

  /** Looks at a report, and at the share of the results that is burst's. */
  look(stats, burstShare) {
    if (!this.#isPlaying()) return;
    const { freq, isThere } = this.#acts[this.#act];
    const now = Date.now();
    if (stats.freq === freq) this.#began ??= now;
    // A report may still be on its way from before.
    else if (this.#began !== undefined) this.stop(stats.stopped ? `The story was stopped: ${stats.stopped}.` : "The story was stopped: somebody asked for another frequency.");
    if (this.#began === undefined) {
      if (now - this.#asked >= TO_SEE_IT) this.stop("The story was stopped: its frequency did not come into force.");
      return;
    }
    if (burstShare === undefined || !isThere(burstShare)) this.#there = undefined;
    else this.#there ??= now;
    if (now - (this.#there ?? Infinity) >= TO_SEE_IT && now - this.#began >= TO_SEE_IT) this.#play(this.#act + 1);
    else if (now - this.#began >= LONGEST) {
      this.#isSeen = false;
      this.#play(this.#act + 1);
    }
  }

  /** Ends it, if it plays; the frequency stays what it is. */
  stop(why) {
    if (!this.#isPlaying()) return;
    this.#act = -1;
    this.#began = undefined;
    this.#button.textContent = "Play the story";
    say("act", why);
  }

  #stopBy(what) {
    this.stop(`The story was stopped by ${what}; its frequency goes on until somebody asks for another.`);
  }

  #isPlaying() {
    return this.#act >= 0;
  }

  #begin() {
    this.#isSeen = true;
    this.#play(0);
  }

  async #play(act) {
    if (act === this.#acts.length) {
      this.stop(this.#isSeen ? "The end: it has burst, and it has come home." : "The end, but not all of it was to be seen: what does the watcher say?");
      return;
    }
    this.#act = act;
    this.#asked = Date.now();
    this.#began = undefined;
    this.#there = undefined;
    this.#button.textContent = "Stop the story";
    say("act", `${act + 1} of ${this.#acts.length}. ${this.#acts[act].words}`);
    const isAccepted = await this.#ask(this.#acts[act].freq);
    if (this.#act === act && !isAccepted) this.stop("The story was stopped: its frequency was refused.");
  }
}
