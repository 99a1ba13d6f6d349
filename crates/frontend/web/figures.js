// The figures, and the one line that says how things are.

import { byCluster, element, show, showParts, speak, write } from "./dom.js";

const REPORTS_A_SECOND = 4;
// Over which the share of the clusters is taken, and failures are spoken of.
const LATELY = 2 * REPORTS_A_SECOND;
// Over which the generator is judged, as its latencies are.
const JUDGED = 10 * REPORTS_A_SECOND;
// A request that is sent later than this after it was due, in milliseconds, is not what was asked for.
const LATE = 5;

export class Figures {
  /** The share of the last results that is burst's; undefined without any. */
  burstShare;
  #reports = [];
  #last;
  // The numbers that this visitor has had from this frontend: another for each connection.
  #mine = new Set();
  #hasLostLoad = false;

  /** This visitor has a number. */
  visitor(number) {
    this.#mine.add(number);
  }

  /** Shows a report. */
  show(stats) {
    this.#notice(stats);
    this.#reports.push(stats);
    if (this.#reports.length > JUDGED) this.#reports.shift();
    const failed = total(stats.ledger.failed);
    show("asked", stats.freq);
    show("achieved", stats.achieved.toFixed(1));
    show("failed", failed);
    show("viewers", stats.viewers);
    show("asked-by", stats.asked ? `asked for by ${this.#mine.has(stats.asked.by) ? "you" : `visitor ${stats.asked.by}`}, ${ago(stats.asked.ago)}` : "nobody has asked for anything");
    show("stops-in", stats.stops_in === null ? "" : `ends by itself in ${minutes(stats.stops_in)}`);
    this.#showTimes(stats);
    const { trips, unshown, dropped } = stats.results;
    const counts = { ...stats.ledger, ...stats.ledger.failed, ...trips, unshown, dropped, failed };
    for (const figure of document.querySelectorAll("[data-count]")) write(figure, counts[figure.dataset.count]);
    const lately = this.#before(LATELY);
    const [now, then] = [byCluster(stats.results), byCluster(lately.results)];
    const [primary, burst] = [now.primary - then.primary, now.burst - then.burst];
    showParts("share", primary, burst);
    this.burstShare = primary + burst > 0 ? burst / (primary + burst) : undefined;
    this.#judge(stats);
    this.#showState(stats, lately);
  }

  /** What was true a moment ago is not known now. */
  forget() {
    this.#reports = [];
    for (const figure of document.querySelectorAll(".figure")) write(figure, "–");
    element("lamp").className = "lamp";
  }

  /** A frontend that takes the place of another knows nothing of its visitors and its load. */
  #notice(stats) {
    if (stats.ledger.planned < this.#last?.ledger.planned) {
      this.#mine = new Set([...this.#mine].slice(-1));
      this.#hasLostLoad = this.#last.freq > 0;
    }
    if (stats.freq > 0) this.#hasLostLoad = false;
    this.#last = stats;
  }

  #before(reports) {
    return this.#reports.at(-reports - 1) ?? this.#reports[0];
  }

  #showTimes(stats) {
    const { corrected, service, trip } = stats.latencies;
    const times = { corrected, service, trip, primary: stats.by_prefix[""]?.corrected };
    for (const [prefix, { corrected: its }] of Object.entries(stats.by_prefix)) {
      if (prefix !== "" && prefix !== "other" && its.count > 0 && !(times.burst?.p99 > its.p99)) times.burst = its;
    }
    const ms = (of, quantile) => (of?.count > 0 ? of[quantile].toFixed(1) : "–");
    for (const figure of document.querySelectorAll("[data-times]")) {
      write(figure, ms(times[figure.dataset.times], figure.dataset.quantile));
    }
    show("latency-p99", corrected.count > 0 ? `${ms(corrected, "p99")} ms` : "–");
  }

  /** Whether the generator itself does what was asked of it. */
  #judge({ freq, ledger, latencies }) {
    const before = this.#reports[0].ledger;
    const [missed, shed] = [ledger.missed - before.missed, ledger.shed - before.shed];
    const late = latencies.lateness.count > 0 && latencies.lateness.p99 > LATE;
    const complaints = [
      missed > 0 && `${missed} sent not at all: the machine was too slow`,
      shed > 0 && `${shed} not sent: too many wait for their answer`,
      late && `late by ${latencies.lateness.p99.toFixed(1)} ms at p99`,
    ].filter(Boolean);
    const isWell = complaints.length === 0;
    element("lamp").className = `lamp ${isWell ? (freq > 0 ? "well" : "") : "unwell"}`;
    if (!isWell) show("generator", `The generator: ${complaints.join("; ")}`);
    else show("generator", freq > 0 ? "The generator is on time" : "The generator rests");
  }

  #showState(stats, before) {
    const failing = Object.entries(stats.ledger.failed)
      .filter(([kind, count]) => count > before.ledger.failed[kind])
      .map(([kind]) => element("page").querySelector(`[data-count="${kind}"]`).closest("div").querySelector("dt").textContent);
    if (stats.feed.state === "away") setState(`Redis is away: ${stats.feed.reason}`, "danger");
    else if (failing.length > 0) setState(`Requests to the workers fail: ${failing.join(", ")}`, "warning");
    else if (stats.stopped) setState(`Stopped: ${stats.stopped}. Enter a frequency.`, "warning");
    else if (this.#hasLostLoad) setState("The frontend has started anew, and the load has stopped. Enter a frequency.", "warning");
    else if (stats.freq === 0) setState(stats.ledger.planned > 0 ? "Stopped. Enter a frequency." : "Connected. Enter a frequency.", "secondary");
    else setState("Live", "success");
  }
}

/** Says in one line how things are. */
export function setState(text, level) {
  const state = element("state");
  state.className = `alert alert-${level} py-2`;
  write(state, text);
  speak("state", text);
}

const total = (failures) => Object.values(failures).reduce((sum, count) => sum + count, 0);
const ago = (seconds) => (seconds < 90 ? `${Math.floor(seconds)} s ago` : `${Math.round(seconds / 60)} min ago`);
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
