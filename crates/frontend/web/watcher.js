// The status of the watcher.

import { announce, element, show, showMessage, showShares, write } from "./dom.js";

const MAX_DECISIONS = 5;
const BADGES = { home: "primary", burst: "warning", split: "info", unknown: "secondary" };

/** The thresholds of the policy in force, each with its name. The first is the rate above which traffic leaves primary. */
export function thresholdsOf({ policy, thresholds }) {
  if (policy === "spill") return [[thresholds.capacity, "capacity of primary"]];
  return [[thresholds.burst_above, "burst above"], [thresholds.home_below, "home below"]];
}

export function showWatcher(update) {
  const isKnown = update.state === "known";
  element("watcher-known").hidden = !isKnown;
  if (isKnown) showStatus(update.status);
  else {
    const texts = {
      unasked: "The frontend has not asked the watcher yet.",
      unset: "This frontend does not know the watcher: WATCHER_URL is not set.",
      away: `No status from the watcher: ${update.reason}`,
      lost: "The connection is lost.",
    };
    showBadge("unknown", false);
    show("watcher-text", texts[update.state]);
  }
}

function showBadge(state, isHolding) {
  const badge = element("watcher-state");
  badge.className = `badge text-bg-${BADGES[state]}`;
  write(badge, isHolding ? `${state}, holding` : state);
  // The watcher's text is not announced, because its numbers change each second.
  announce("watcher", `The watcher: ${state}`);
}

/** Where the watcher sees the traffic. */
const SOURCES = { prometheus: "in Prometheus", callers: "at the callers" };

function showStatus(status) {
  const { observed, weights } = status;
  showBadge(status.state, status.is_holding);
  show("watcher-text", status.dry_run ? `${status.text} (dry run: the watcher writes nothing)` : status.text);
  showMessage("watcher-not-ready", status.not_ready_reasons.join("; "));
  show("watcher-rate", rateText(observed));
  show("watcher-source", SOURCES[observed.source] ?? "");
  show("watcher-rule", thresholdsOf(status).map(([rate, name]) => `${name} ${rate} /s`).join(", "));
  showShares("weight", weights?.primary ?? 0, weights?.burst ?? 0);
  for (const cluster of ["primary", "burst"]) {
    element(`${cluster}-bar`).parentElement.style.width = element(`${cluster}-weight`).textContent.replace(/ |–/g, "") || "0";
  }
  showDecisions(status.decisions.slice(-MAX_DECISIONS).reverse());
}

function rateText({ rate, unknown }) {
  if (rate !== null) return `${rate.toFixed(1)} /s`;
  return unknown === "empty" ? "no requests yet" : `no rate: ${unknown ?? "not asked yet"}`;
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
