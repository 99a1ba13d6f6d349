// Plays the story: up, into the second cluster, further up, and home.

import { element, say } from "./dom.js";

// Each act goes on until the results come from where they should, and for some seconds more, to see it.
const ACTS = [
  { freq: 5, isThere: (burst) => burst === 0, words: "Five a second: primary, at home, has no trouble." },
  { freq: 20, isThere: (burst) => burst >= 0.2, words: "Twenty a second: more than primary is meant for. Watch them spill into burst." },
  { freq: 40, isThere: (burst) => burst >= 0.2, words: "Forty a second: burst takes that, too." },
  { freq: 5, isThere: (burst) => burst === 0, words: "Five again. Once it has been quiet for long enough, the traffic comes home." },
];
const TO_SEE_IT = 10_000;
const LONGEST = 90_000;
const STOPPED = "The story was stopped.";

export class Story {
  #ask;
  #act = -1;
  #began = 0;
  #there = undefined;
  #button = element("play");

  /** Takes what asks for a frequency. */
  constructor(ask) {
    this.#ask = ask;
    this.#button.addEventListener("click", () => (this.#isPlaying() ? this.stop(STOPPED) : this.#play(0)));
    for (const input of ["pointerdown", "keydown"]) {
      document.addEventListener(input, (event) => {
        // What presses the button ends in a click.
        const pressesButton = event.target === this.#button && ["Enter", " ", undefined].includes(event.key);
        if (!pressesButton) this.stop(STOPPED);
      });
    }
  }

  /** Looks at a report, and at the share of the results that is burst's. */
  look(stats, burstShare) {
    if (!this.#isPlaying() || this.#began === 0) return;
    const { freq, isThere } = ACTS[this.#act];
    if (stats.freq !== freq) {
      this.stop("The story was stopped: somebody asked for another frequency.");
      return;
    }
    const now = Date.now();
    if (burstShare === undefined || !isThere(burstShare)) this.#there = undefined;
    else this.#there ??= now;
    const isSeen = this.#there !== undefined && now - Math.max(this.#there, this.#began) >= TO_SEE_IT;
    if (isSeen || now - this.#began >= LONGEST) this.#play(this.#act + 1);
  }

  /** Ends it, if it plays; the frequency stays what it is. */
  stop(why) {
    if (!this.#isPlaying()) return;
    this.#act = -1;
    this.#button.textContent = "Play the story";
    say("act", why);
  }

  #isPlaying() {
    return this.#act >= 0;
  }

  async #play(act) {
    if (act === ACTS.length) {
      this.stop("The end: it has burst, and it has come home.");
      return;
    }
    this.#act = act;
    this.#began = 0;
    this.#there = undefined;
    this.#button.textContent = "Stop the story";
    say("act", `${act + 1} of ${ACTS.length}. ${ACTS[act].words}`);
    const isAccepted = await this.#ask(ACTS[act].freq);
    if (this.#act !== act) return;
    if (isAccepted) this.#began = Date.now();
    else this.stop("The story was stopped: its frequency was refused.");
  }
}
