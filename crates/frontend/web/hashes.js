// The current hash values, newest first.

import { element } from "./dom.js";

const MAX_HASHES = 50;
// A SHA-256 digest in base64, behind the prefix of a worker that is not primary's.
const PREFIXED_HASH = /^[!-~]+[A-Za-z0-9+/]{43}=$/;
// Milliseconds: as often as a screen can be read, or as somebody wants who wants less to move.
const SHOW_EVERY = 100;
const SHOW_CALMLY_EVERY = 1000;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const hold = element("hold");
let waiting = [];

hold.addEventListener("click", () => {
  const isHeld = hold.getAttribute("aria-pressed") !== "true";
  hold.setAttribute("aria-pressed", String(isHeld));
  hold.classList.toggle("active", isHeld);
  if (!isHeld) showAll();
});

export function addHash(message) {
  if (waiting.length === 0) setTimeout(showAll, calm.matches ? SHOW_CALMLY_EVERY : SHOW_EVERY);
  waiting.push(message);
  if (waiting.length > MAX_HASHES) waiting.shift();
}

function showAll() {
  // What comes meanwhile is shown when the list goes on: the newest of it.
  if (hold.getAttribute("aria-pressed") === "true") return;
  const hashes = element("hashes");
  for (const message of waiting) {
    const isFull = hashes.childElementCount >= MAX_HASHES;
    const item = isFull ? hashes.lastElementChild : document.createElement("li");
    // Text only: a message is data, whatever it looks like.
    item.textContent = message;
    item.classList.toggle("burst", PREFIXED_HASH.test(message));
    hashes.prepend(item);
  }
  waiting = [];
}
