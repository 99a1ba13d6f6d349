// Access to the elements of the page.

export const element = (id) => document.getElementById(id);

/** Sets a text. A text that stays the same causes no new layout. */
export function write(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

export const show = (id, text) => write(element(id), text);

/** Shows a message, in an element that is hidden without one. */
export function showMessage(id, message) {
  const node = element(id);
  node.hidden = !message;
  write(node, message ?? "");
}

/** Shows two shares of a whole, which are unknown if both are zero. */
export function showShares(name, primary, burst) {
  const share = Math.round((100 * primary) / (primary + burst));
  show(`primary-${name}`, primary + burst > 0 ? `${share} %` : "–");
  show(`burst-${name}`, primary + burst > 0 ? `${100 - share} %` : "–");
}

// Milliseconds between two announcements, which leave a listener time to hear something else.
const ANNOUNCE_EVERY = 10_000;
const announcements = new Map();
let isWaiting = false;

/** Tells a screen reader the state of one subject. It skips states that last too short a time. */
export function announce(subject, state) {
  if (announcements.get(subject) === state) return;
  announcements.set(subject, state);
  if (isWaiting) return;
  isWaiting = true;
  const speak = () => show("spoken", [...announcements.values()].join(". "));
  speak();
  setTimeout(() => {
    isWaiting = false;
    speak();
  }, ANNOUNCE_EVERY);
}
