// The current hash values, newest first.

import { isFromBurst } from "./clusters.js";
import { element } from "./dom.js";

const MAX_HASHES = 50;
// Milliseconds between two updates of the list.
const SHOW_EVERY = 100;
const SHOW_EVERY_REDUCED_MOTION = 1000;

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const pause = element("pause");
let waiting = [];

pause.addEventListener("click", () => {
  const isPaused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(isPaused));
  pause.classList.toggle("active", isPaused);
  if (!isPaused) showWaiting();
});

export function addHash(message) {
  if (waiting.length === 0) setTimeout(showWaiting, reducedMotion.matches ? SHOW_EVERY_REDUCED_MOTION : SHOW_EVERY);
  waiting.push(message);
  if (waiting.length > MAX_HASHES) waiting.shift();
}

function showWaiting() {
  // The newest messages of a pause are shown after it.
  if (pause.getAttribute("aria-pressed") === "true") return;
  const hashes = element("hashes");
  for (const message of waiting) {
    const isFull = hashes.childElementCount >= MAX_HASHES;
    const item = isFull ? hashes.lastElementChild : document.createElement("li");
    // Text only: a message may look like HTML.
    item.textContent = message;
    item.classList.toggle("burst", isFromBurst(message));
    hashes.prepend(item);
  }
  waiting = [];
}
