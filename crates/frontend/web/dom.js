// What all parts of the page need.

export const element = (id) => document.getElementById(id);

/** Sets a text, unless it is there already: what has not changed is not laid out again. */
export function write(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

export const show = (id, text) => write(element(id), text);

/** Shows a sentence in a place that is hidden while there is none. */
export function say(id, sentence) {
  const place = element(id);
  place.hidden = !sentence;
  write(place, sentence ?? "");
}

// Milliseconds between two announcements: who hears the page must be able to hear something else, too.
const SPOKEN_EVERY = 10_000;
const toSpeak = new Map();
let isSpeaking = false;

/** Tells a screen reader how one thing stands: each change in the end, but not each in between. */
export function speak(what, sentence) {
  if (toSpeak.get(what) === sentence) return;
  toSpeak.set(what, sentence);
  if (isSpeaking) return;
  isSpeaking = true;
  const announce = () => show("spoken", [...toSpeak.values()].join(". "));
  announce();
  setTimeout(() => {
    isSpeaking = false;
    announce();
  }, SPOKEN_EVERY);
}

/** Results by cluster: those without a prefix are primary's, those with one burst's; `other` is what no worker has published. */
export function byCluster(results) {
  const clusters = { primary: 0, burst: 0 };
  for (const [prefix, count] of Object.entries(results.by_prefix)) {
    if (prefix === "") clusters.primary += count;
    else if (prefix !== "other") clusters.burst += count;
  }
  return clusters;
}

/** Shows two shares of a whole; neither is known if they are none. */
export function showParts(name, primary, burst) {
  const share = Math.round((100 * primary) / (primary + burst));
  show(`primary-${name}`, primary + burst > 0 ? `${share} %` : "–");
  show(`burst-${name}`, primary + burst > 0 ? `${100 - share} %` : "–");
}
