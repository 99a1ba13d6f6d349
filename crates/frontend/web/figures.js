// The numbers of each report, and the line that shows the state of the whole.

import { clusterOf, resultsByCluster } from "./clusters.js";
import { announce, element, show, showShares, write } from "./dom.js";
import { REPORTS_PER_SECOND } from "./settings.js";

// The number of reports over which shares and failures are counted.
const RECENT = 2 * REPORTS_PER_SECOND;
// The number of reports over which missed and shed requests are counted: as long as for latencies.
const LONG = 10 * REPORTS_PER_SECOND;
// The lateness, in milliseconds, from which the load is off schedule.
const MAX_LATENESS = 5;

export class Figures {
  /** The share of burst in the recent results; undefined without results. */
  burstShare;
  #reports = [];
  #last;
  // The visitor numbers of this page at this frontend: one for each connection.
  #ownNumbers = new Set();
  #hasLostLoad = false;

  /** A frontend gives each visitor a higher number than the one before, so a number that is no higher is a new frontend's. */
  addVisitorNumber(number) {
    if (number <= Math.max(...this.#ownNumbers)) this.#ownNumbers.clear();
    this.#ownNumbers.add(number);
  }

  /** Shows a report. */
  show(stats) {
    this.#detectRestart(stats);
    this.#reports.push(stats);
    if (this.#reports.length > LONG) this.#reports.shift();
    const failed = sum(stats.ledger.failed);
    show("requested", stats.freq);
    show("achieved", stats.achieved.toFixed(1));
    show("failed", failed);
    show("viewers", stats.viewers);
    show("requested-by", this.#requestedBy(stats.requested));
    show("stops-in", stats.stops_in_seconds === null ? "" : `stops by itself in ${minutes(stats.stops_in_seconds)}`);
    this.#showTimes(stats);
    const { trips, unshown, dropped } = stats.results;
    const counts = { ...stats.ledger, ...stats.ledger.failed, ...trips, unshown, dropped, failed };
    for (const figure of document.querySelectorAll("[data-count]")) write(figure, counts[figure.dataset.count]);
    const before = this.#reportBefore(RECENT);
    this.#showBurstShare(resultsByCluster(before.results), resultsByCluster(stats.results));
    this.#showSchedule(stats);
    this.#showState(stats, before);
  }

  /** Removes all numbers, because they are not current. */
  forget() {
    this.#reports = [];
    for (const figure of document.querySelectorAll(".figure")) write(figure, "–");
    element("lamp").className = "lamp";
  }

  /** A frontend that has restarted counts from zero, and has neither the load nor the visitor numbers. */
  #detectRestart(stats) {
    if (stats.ledger.planned < this.#last?.ledger.planned) {
      this.#ownNumbers = new Set([...this.#ownNumbers].slice(-1));
      this.#hasLostLoad = this.#last.freq > 0;
    }
    if (stats.freq > 0) this.#hasLostLoad = false;
    this.#last = stats;
  }

  #reportBefore(reports) {
    return this.#reports.at(-reports - 1) ?? this.#reports[0];
  }

  #requestedBy(requested) {
    if (!requested) return "nobody has requested a rate";
    const visitor = this.#ownNumbers.has(requested.by) ? "you" : `visitor ${requested.by}`;
    return `requested by ${visitor}, ${ago(requested.seconds_ago)}`;
  }

  #showBurstShare(before, now) {
    const [primary, burst] = [now.primary - before.primary, now.burst - before.burst];
    showShares("share", primary, burst);
    this.burstShare = primary + burst > 0 ? burst / (primary + burst) : undefined;
  }

  #showTimes(stats) {
    const { corrected, service, trip } = stats.latencies;
    const times = { corrected, service, trip };
    for (const [prefix, { corrected: latency }] of Object.entries(stats.by_prefix)) {
      const cluster = clusterOf(prefix);
      // If a cluster has several prefixes, the highest latency counts.
      if (cluster && latency.count > 0 && !(times[cluster]?.p99 > latency.p99)) times[cluster] = latency;
    }
    const text = (time, quantile) => (time?.count > 0 ? time[quantile].toFixed(1) : "–");
    for (const figure of document.querySelectorAll("[data-times]")) {
      write(figure, text(times[figure.dataset.times], figure.dataset.quantile));
    }
    show("latency-p99", corrected.count > 0 ? `${text(corrected, "p99")} ms` : "–");
  }

  /** Shows whether the frontend sends the load on schedule. */
  #showSchedule({ freq, ledger, latencies }) {
    const before = this.#reports[0].ledger;
    const [missed, shed] = [ledger.missed - before.missed, ledger.shed - before.shed];
    const isLate = latencies.lateness.count > 0 && latencies.lateness.p99 > MAX_LATENESS;
    const problems = [
      missed > 0 && `${missed} missed (the machine is too slow)`,
      shed > 0 && `${shed} shed (too many in flight)`,
      isLate && `${latencies.lateness.p99.toFixed(1)} ms late at p99`,
    ].filter(Boolean);
    const isOnSchedule = problems.length === 0;
    element("lamp").className = `lamp ${isOnSchedule ? (freq > 0 ? "good" : "") : "bad"}`;
    if (!isOnSchedule) show("schedule", `Load off schedule: ${problems.join("; ")}`);
    else show("schedule", freq > 0 ? "Load on schedule" : "No load");
  }

  #showState(stats, before) {
    const failing = Object.entries(stats.ledger.failed)
      .filter(([kind, count]) => count > before.ledger.failed[kind])
      .map(([kind]) => element("page").querySelector(`[data-count="${kind}"]`).closest("div").querySelector("dt").textContent);
    if (stats.feed.state === "away") setState(`Redis is away: ${stats.feed.reason}`, "danger");
    else if (failing.length > 0) setState(`Requests to the workers fail: ${failing.join(", ")}`, "warning");
    else if (stats.stop_reason) setState(`Stopped: ${stats.stop_reason}. Enter a frequency.`, "warning");
    else if (this.#hasLostLoad) setState("The frontend has restarted, and the load has stopped. Enter a frequency.", "warning");
    else if (stats.freq === 0) setState(stats.ledger.planned > 0 ? "Stopped. Enter a frequency." : "Connected. Enter a frequency.", "secondary");
    else setState("Live", "success");
  }
}

/** Shows the state of the whole in one line. */
export function setState(text, level) {
  const state = element("state");
  state.className = `alert alert-${level} py-2`;
  write(state, text);
  announce("state", text);
}

const sum = (failures) => Object.values(failures).reduce((total, count) => total + count, 0);
const ago = (seconds) => (seconds < 90 ? `${Math.floor(seconds)} s ago` : `${Math.round(seconds / 60)} min ago`);
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
