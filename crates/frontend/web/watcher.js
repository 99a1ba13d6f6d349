// The watcher's side of the story, in its own words.

import { element, say, show, showParts, speak, write } from "./dom.js";

const MAX_DECISIONS = 5;
const BADGES = { home: "primary", burst: "warning", split: "info", unknown: "secondary" };

export function showWatcher(view) {
  const isKnown = view.state === "known";
  element("watcher-known").hidden = !isKnown;
  if (isKnown) showStatus(view.status);
  else {
    const words = {
      unasked: "It has not been asked yet.",
      unset: "This frontend has not been told where the watcher is: WATCHER_URL.",
      away: `The watcher does not answer: ${view.reason}`,
      lost: "The connection is lost.",
    };
    setBadge("unknown", false);
    show("watcher-text", words[view.state]);
  }
}

function setBadge(state, isHolding) {
  const badge = element("watcher-state");
  badge.className = `badge text-bg-${BADGES[state]}`;
  write(badge, isHolding ? `${state}, holding` : state);
  // Not its words: they have figures that change each second.
  speak("watcher", `The watcher: ${state}`);
}

function showStatus(status) {
  const { policy, thresholds, seen, weights } = status;
  setBadge(status.state, status.holding);
  show("watcher-text", status.dry_run ? `${status.text} (DRY_RUN: it only says so)` : status.text);
  say("watcher-lacks", status.lacks.join("; "));
  show("watcher-rate", seen.rate === null ? (seen.unknown === "empty" ? "no requests yet" : `no rate: ${seen.unknown ?? "not asked yet"}`) : `${seen.rate.toFixed(1)} /s`);
  show("watcher-rule", policy === "spill"
    ? `primary carries ${thresholds.capacity} /s`
    : `burst above ${thresholds.burst_above} /s, home below ${thresholds.home_below} /s`);
  showParts("weight", weights?.primary ?? 0, weights?.burst ?? 0);
  for (const cluster of ["primary", "burst"]) {
    element(`${cluster}-bar`).parentElement.style.width = element(`${cluster}-weight`).textContent.replace(/ |–/g, "") || "0";
  }
  showDecisions(status.decisions.slice(-MAX_DECISIONS).reverse());
}

function showDecisions(decisions) {
  const list = element("decisions");
  while (list.childElementCount > decisions.length) list.lastElementChild.remove();
  while (list.childElementCount < decisions.length) list.append(document.createElement("li"));
  decisions.forEach(({ at, text, outcome }, index) => {
    const time = new Date(at * 1000).toLocaleTimeString([], { hourCycle: "h23" });
    write(list.children[index], `${time}  ${text}${outcome === "written" ? "" : ` (${outcome})`}`);
  });
}
