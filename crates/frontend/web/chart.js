// Results per second of the last two minutes, by cluster, stacked; with the watcher's thresholds and switches drawn in.

import { byCluster, element } from "./dom.js";

// Seconds.
const SPAN = 120;
const MARKS = [-120, -90, -60, -30, 0];
// Four reports; their distance varies a little.
const RATE_OVER = 0.95;
const GAP = 3;
const DESCRIBED_EVERY = 5;
// As much is shown at least, so that the thresholds have a place.
const LEAST = 20;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  #plot;
  #place = element("plot");
  #times = [];
  #primary = [];
  #burst = [];
  #recent = [];
  #thresholds = [];
  #switches = [];
  #drawn = 0;
  #described = 0;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor() {
    // Without its library there is no picture, but all the rest.
    if (typeof uPlot === "undefined") {
      this.#place.textContent = "There is no picture: the library that draws it could not be had.";
      return;
    }
    const size = () => ({ width: this.#place.clientWidth, height: this.#place.clientHeight });
    this.#plot = new uPlot(this.#options(size()), [[], [], []], this.#place);
    new ResizeObserver(() => this.#plot.setSize(size())).observe(this.#place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
  }

  /** Fills in what was before this page was opened, or while it was not connected. */
  async load() {
    try {
      const answer = await fetch("/api/history.csv");
      if (answer.ok) this.#fill(await answer.text());
    } catch {
      // The next connection tries again.
    }
  }

  #fill(csv) {
    const [header, ...rows] = csv.trim().split("\n").map((line) => line.split(","));
    const past = rows.slice(-SPAN);
    const last = Number(past.at(-1)?.[header.indexOf("unix_time")]);
    const kept = this.#times.map((time, index) => [time, index]).filter(([time]) => !(time <= last)).map(([, index]) => index);
    for (const [values, name] of [[this.#primary, "results_primary"], [this.#burst, "results_burst"], [this.#times, "unix_time"]]) {
      const column = header.indexOf(name);
      values.splice(0, values.length, ...past.map((row) => Number(row[column])), ...kept.map((index) => values[index]));
    }
  }

  /** Takes a report. */
  add({ at, results }) {
    const now = { at, ...byCluster(results), total: results.total };
    const last = this.#recent.at(-1);
    // A new frontend counts from zero; after a pause nobody knows when what came came; and a clock may be set back.
    if (last && (now.total < last.total || at < last.at || at - last.at > GAP)) this.#recent = [];
    if (at < this.#times.at(-1)) for (const values of [this.#times, this.#primary, this.#burst]) values.length = 0;
    this.#recent.push(now);
    while (this.#recent.length > 2 && at - this.#recent[1].at >= RATE_OVER) this.#recent.shift();
    const then = this.#recent[0];
    if (at - then.at >= RATE_OVER) {
      const rate = (cluster) => (now[cluster] - then[cluster]) / (at - then.at);
      if (at - this.#times.at(-1) > GAP) this.#push(this.#times.at(-1) + 0.1, null, null);
      this.#push(at, rate("primary"), rate("burst"));
    }
    this.#draw(at);
  }

  /** Takes what the watcher says. */
  setWatcher(view) {
    const { policy, thresholds, decisions } = view.status ?? { decisions: [] };
    element("key-thresholds").hidden = view.state !== "known";
    if (view.state !== "known") this.#thresholds = [];
    else if (policy === "spill") this.#thresholds = [[thresholds.capacity, "primary carries"]];
    else this.#thresholds = [[thresholds.burst_above, "burst above"], [thresholds.home_below, "home below"]];
    this.#switches = decisions
      .filter(({ from, to, outcome }) => outcome === "written" && from.burst !== to.burst)
      .map(({ at, to }) => [at, to.burst === 0 ? "home" : to.primary === 0 ? "burst" : `${to.burst} % to burst`]);
  }

  #push(time, primary, burst) {
    this.#times.push(time);
    this.#primary.push(primary);
    this.#burst.push(burst);
    while (this.#times[0] < time - SPAN - 1) for (const values of [this.#times, this.#primary, this.#burst]) values.shift();
  }

  #draw(at) {
    // Once a second for those who want less to move.
    if (!this.#plot || document.hidden || (this.#calm.matches && Math.abs(at - this.#drawn) < 1)) return;
    this.#drawn = at;
    const whole = this.#primary.map((rate, index) => (rate === null ? null : rate + this.#burst[index]));
    this.#plot.setData([this.#times, whole, this.#primary]);
    if (Math.abs(at - this.#described) < DESCRIBED_EVERY) return;
    this.#described = at;
    this.#place.setAttribute("aria-label", this.#words(at, whole));
  }

  #words(at, whole) {
    const [primary, burst] = [this.#primary.at(-1) ?? 0, this.#burst.at(-1) ?? 0];
    const known = whole.findIndex((rate) => rate !== null);
    const now = `Now ${primary.toFixed(0)} results per second from primary and ${burst.toFixed(0)} from burst`;
    const before = known < 0 ? "" : `; ${(at - this.#times[known]).toFixed(0)} s ago ${whole[known].toFixed(0)} in all`;
    const thresholds = this.#thresholds.map(([rate, words]) => `; ${words} ${rate}`).join("");
    const last = this.#switches.at(-1);
    return now + before + thresholds + (last ? `; moved ${(at - last[0]).toFixed(0)} s ago: ${last[1]}` : "");
  }

  #options(size) {
    const text = () => colour("--bs-body-color");
    const grid = { stroke: () => colour("--bs-border-color") };
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const font = `${0.8 * em}px system-ui`;
    const now = () => this.#times.at(-1) ?? 0;
    const highest = () => Math.max(LEAST, ...this.#thresholds.map(([rate]) => rate * 1.2));
    const area = (cluster, fill) => ({ stroke: () => colour(`--${cluster}-cluster`), fill, width: 2, points: { show: false } });
    return {
      ...size,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [now() - SPAN, now()] },
        y: { range: (_, least, most) => [0, Math.max(highest(), (most ?? 0) * 1.15)] },
      },
      axes: [
        { stroke: text, grid, font, size: 2 * em, splits: () => MARKS.map((mark) => now() + mark), values: () => MARKS.map((mark) => (mark === 0 ? "now" : `${mark} s`)) },
        { stroke: text, grid, font, size: 3.5 * em },
      ],
      // The whole first: what primary's area leaves of it is burst's.
      series: [{}, area("burst", (plot) => hatched(plot.ctx, colour("--burst-cluster"))), area("primary", () => colour("--primary-cluster"))],
      hooks: { draw: [(plot) => this.#drawWatcher(plot, font)] },
    };
  }

  #drawWatcher(plot, font) {
    const { ctx, bbox: { left, top, width, height } } = plot;
    const scale = devicePixelRatio;
    const stroke = (style, lineWidth, dash, draw) => {
      ctx.strokeStyle = colour(style);
      ctx.lineWidth = lineWidth * scale;
      ctx.setLineDash(dash.map((length) => length * scale));
      draw();
    };
    // On a ground of its own, so that it is seen over any area.
    const line = (style, fromX, fromY, toX, toY, words, x, y) => {
      const path = new Path2D();
      path.moveTo(fromX, fromY);
      path.lineTo(toX, toY);
      stroke("--bs-body-bg", 4, [], () => ctx.stroke(path));
      stroke(style, 2, [6, 4], () => ctx.stroke(path));
      stroke("--bs-body-bg", 4, [], () => ctx.strokeText(words, x, y));
      ctx.fillText(words, x, y);
    };
    ctx.save();
    ctx.font = font.replace(/[\d.]+/, (size) => size * scale);
    ctx.fillStyle = colour("--bs-body-color");
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    // Side by side, so that they do not cover one another where they are near.
    let wordsX = left + 6 * scale;
    for (const [rate, name] of this.#thresholds) {
      const y = plot.valToPos(rate, "y", true);
      const words = `${name} ${rate}`;
      line("--threshold", left, y, left + width, y, words, wordsX, y - 5 * scale);
      wordsX += ctx.measureText(words).width + 16 * scale;
    }
    for (const [at, words] of this.#switches) {
      const x = plot.valToPos(at, "x", true);
      const itsWidth = ctx.measureText(words).width + 5 * scale;
      const itsX = x + itsWidth > left + width ? x - itsWidth : x + 5 * scale;
      if (x >= left && x <= left + width) line("--bs-body-color", x, top, x, top + height, words, itsX, top + 16 * scale);
    }
    ctx.restore();
  }
}

/** A pattern, so that the clusters are told apart without colour too. */
function hatched(ctx, stroke) {
  const tile = document.createElement("canvas");
  const side = (tile.width = tile.height = 10 * devicePixelRatio);
  const brush = tile.getContext("2d");
  brush.fillStyle = stroke;
  brush.globalAlpha = 0.45;
  brush.fillRect(0, 0, side, side);
  brush.globalAlpha = 1;
  brush.strokeStyle = stroke;
  brush.lineWidth = side / 3;
  brush.beginPath();
  for (const shift of [-side, 0, side]) {
    brush.moveTo(shift, side);
    brush.lineTo(shift + side, 0);
  }
  brush.stroke();
  return ctx.createPattern(tile, "repeat");
}
