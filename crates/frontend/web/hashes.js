// The current hash values, newest first.

import { element } from "./dom.js";

const MAX_HASHES = 50;
// A SHA-256 digest in base64, behind the prefix of a worker that is not primary's.
const PREFIXED_HASH = /^[!-~]+[A-Za-z0-9+/]{43}=$/;
// As often as a screen can be read: the browser has less to lay out.
const SHOW_EVERY = 100;

let waiting = [];

export function addHash(message) {
  if (waiting.length === 0) setTimeout(showAll, SHOW_EVERY);
  waiting.push(message);
  if (waiting.length > MAX_HASHES) waiting.shift();
}

function showAll() {
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
