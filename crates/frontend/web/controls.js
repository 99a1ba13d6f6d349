// The controls that request a frequency: the field, the buttons, the slider.

import { element, showMessage } from "./dom.js";
import { MAX_RATE } from "./settings.js";

// Milliseconds.
const ANSWER_TIMEOUT = 5000;
const SLIDER_DELAY = 300;
// Characters of a frequency.
const MAX_TYPED = 64;
// The positions of the slider. They are as dense at the low end, near the thresholds, as at the high end.
const FREQUENCIES = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500, 10000];

export class Controls {
  #socket;
  #frequencies = [...FREQUENCIES.filter((freq) => freq < MAX_RATE), MAX_RATE];
  #slider = element("slider");
  // The frequency in force.
  #freq;
  // The number of requests.
  #requests = 0;
  // The timer of the slider. While it is set, and until the answer, the slider keeps its position.
  #sliderTimer;

  constructor(socket) {
    this.#socket = socket;
    this.#slider.max = this.#frequencies.length - 1;
    element("rate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.request(element("frequency").value);
    });
    element("frequency").addEventListener("input", () => showMessage("refused"));
    for (const button of document.querySelectorAll("button[data-freq]")) {
      button.addEventListener("click", () => this.request(button.dataset.freq));
    }
    this.#slider.addEventListener("input", () => {
      this.#describeSlider(this.#chosen());
      element("frequency").value = this.#chosen();
      // A key that is held down moves the slider many times. Only the last position is requested.
      clearTimeout(this.#sliderTimer);
      this.#sliderTimer = setTimeout(async () => {
        await this.request(this.#chosen());
        this.#sliderTimer = undefined;
        this.#show();
      }, SLIDER_DELAY);
    });
  }

  /** Requests a frequency once there is a connection, and returns whether it is in force. Otherwise it shows why not. */
  async request(freq) {
    if (String(freq).length > MAX_TYPED) {
      showMessage("refused", `freq: ${String(freq).slice(0, 20)}… is too long; accepted: 0 to stop, or 0.01 to ${MAX_RATE} requests per second`);
      return false;
    }
    // The field exists only if the frontend needs a token.
    const token = element("token")?.value;
    // Of what is requested before there is a connection, only the last is sent.
    if (!this.#socket.connected) this.#socket.sendBuffer = [];
    this.#requests += 1;
    const request = this.#requests;
    const answer = await this.#socket
      .timeout(ANSWER_TIMEOUT)
      .emitWithAck("frequency", { freq, token })
      .catch(() => ({ error: this.#socket.connected ? "The frontend does not answer." : "There is no connection to the frontend." }));
    if (request === this.#requests) showMessage("refused", answer.error);
    if (answer.freq !== undefined) {
      // The empty field shows the frequency in force.
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
    if (this.#sliderTimer !== undefined) return;
    this.#slider.value = this.#frequencies.findIndex((frequency) => frequency >= freq);
    this.#describeSlider(freq);
  }

  #chosen() {
    return this.#frequencies[Number(this.#slider.value)];
  }

  #describeSlider(freq) {
    this.#slider.setAttribute("aria-valuetext", `${freq} per second`);
  }
}
