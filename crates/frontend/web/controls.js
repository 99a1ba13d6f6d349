// The ways to ask for a frequency: field, buttons, slider.

import { element, say } from "./dom.js";

// Milliseconds.
const ANSWER_WITHIN = 5000;
const SLIDER_RESTS = 300;
// What the slider stops at: as dense at the low end, where the thresholds are, as at the high.
const STOPS = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500, 10000];

/** The highest frequency that may be asked for. */
export const maxRate = () => Number(element("ask").dataset.maxRate);

export class Controls {
  #socket;
  #stops = [...STOPS.filter((stop) => stop < maxRate()), maxRate()];
  #slider = element("slider");
  #freq;
  // While somebody moves the slider, and until that is answered, it is theirs.
  #moved;

  constructor(socket) {
    this.#socket = socket;
    this.#slider.max = this.#stops.length - 1;
    element("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(element("frequency").value);
    });
    element("frequency").addEventListener("input", () => say("refused"));
    for (const button of document.querySelectorAll("button[data-freq]")) {
      button.addEventListener("click", () => this.ask(button.dataset.freq));
    }
    this.#slider.addEventListener("input", () => {
      this.#describe(this.#chosen());
      element("frequency").value = this.#chosen();
      // A key that is held down moves it many times, and what counts is where it comes to rest.
      clearTimeout(this.#moved);
      this.#moved = setTimeout(async () => {
        await this.ask(this.#chosen());
        this.#moved = undefined;
        this.#show();
      }, SLIDER_RESTS);
    });
  }

  /** Asks for a frequency; returns whether it is in force, and says why not. */
  async ask(freq) {
    if (!this.#socket.connected) {
      say("refused", "There is no connection to the frontend.");
      return false;
    }
    // Only where the frontend wants one.
    const token = element("token")?.value;
    const answer = await this.#socket
      .timeout(ANSWER_WITHIN)
      .emitWithAck("frequency", { freq, token })
      .catch(() => ({ error: "There is no answer; is the connection lost?" }));
    say("refused", answer.error);
    if (answer.freq !== undefined) {
      // What is in force is shown in its place.
      element("frequency").value = "";
      this.show(answer.freq);
    }
    return answer.error === undefined;
  }

  /** Shows the frequency in force. */
  show(freq) {
    if (this.#freq === freq) return;
    this.#freq = freq;
    this.#show();
  }

  #show() {
    const freq = this.#freq;
    element("frequency").placeholder = freq || 5;
    for (const button of document.querySelectorAll("button.preset")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.freq) === freq));
      button.classList.toggle("active", Number(button.dataset.freq) === freq);
    }
    if (this.#moved !== undefined) return;
    this.#slider.value = this.#stops.findIndex((stop) => stop >= freq);
    this.#describe(freq);
  }

  #chosen() {
    return this.#stops[Number(this.#slider.value)];
  }

  #describe(freq) {
    this.#slider.setAttribute("aria-valuetext", `${freq} per second`);
  }
}
