// The chart: results per second of the last two minutes, stacked by cluster, with the thresholds and moves of the watcher.

import { resultsByCluster } from "./clusters.js";
import { element } from "./dom.js";
import { REPORTS_PER_SECOND } from "./settings.js";
import { thresholdsOf } from "./watcher.js";

// Seconds.
const SPAN = 120;
const MARKS = [-120, -90, -60, -30, 0];
// Rates are averages over a second of reports, whose distance varies a little.
const RATE_OVER = 1 - 0.2 / REPORTS_PER_SECOND;
const MAX_GAP = 3;
const DESCRIBE_EVERY = 5;
// The lowest upper end of the vertical axis, in results per second. It leaves room for the thresholds.
const MIN_TOP = 20;

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  #plot;
  #container = element("plot");
  #times = [];
  #primary = [];
  #burst = [];
  #recent = [];
  #thresholds = [];
  #moves = [];
  #drawnAt = 0;
  #describedAt = 0;
  #reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

  constructor() {
    // Without its library there is no chart; the rest of the page works.
    if (typeof uPlot === "undefined") {
      this.#container.textContent = "There is no chart: its library could not be loaded.";
      return;
    }
    const size = () => ({ width: this.#container.clientWidth, height: this.#container.clientHeight });
    this.#plot = new uPlot(this.#options(size()), [[], [], []], this.#container);
    new ResizeObserver(() => this.#plot.setSize(size())).observe(this.#container);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
  }

  /** Loads the time before the page was open, or while it was not connected. */
  async load() {
    try {
      const answer = await fetch("api/history.csv");
      if (answer.ok) this.#fill(await answer.text());
    } catch {
      // The next connection loads it again.
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

  /** Adds a report. */
  add({ at, results }) {
    const now = { at, ...resultsByCluster(results), total: results.total };
    const last = this.#recent.at(-1);
    // A new frontend counts from zero, a gap makes an average meaningless, and a clock may be set back.
    if (last && (now.total < last.total || at < last.at || at - last.at > MAX_GAP)) this.#recent = [];
    if (at < this.#times.at(-1)) for (const values of [this.#times, this.#primary, this.#burst]) values.length = 0;
    this.#recent.push(now);
    while (this.#recent.length > 2 && at - this.#recent[1].at >= RATE_OVER) this.#recent.shift();
    const then = this.#recent[0];
    if (at - then.at >= RATE_OVER) {
      const rate = (cluster) => (now[cluster] - then[cluster]) / (at - then.at);
      if (at - this.#times.at(-1) > MAX_GAP) this.#push(this.#times.at(-1) + 0.1, null, null);
      this.#push(at, rate("primary"), rate("burst"));
    }
    this.#draw(at);
  }

  /** Shows the thresholds and moves of the watcher. */
  setWatcher(update) {
    const { status } = update;
    element("key-thresholds").hidden = !status;
    this.#thresholds = status ? thresholdsOf(status) : [];
    this.#moves = (status?.decisions ?? [])
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
    // Reduced motion: once a second.
    if (!this.#plot || document.hidden || (this.#reducedMotion.matches && Math.abs(at - this.#drawnAt) < 1)) return;
    this.#drawnAt = at;
    const total = this.#primary.map((rate, index) => (rate === null ? null : rate + this.#burst[index]));
    this.#plot.setData([this.#times, total, this.#primary]);
    if (Math.abs(at - this.#describedAt) < DESCRIBE_EVERY) return;
    this.#describedAt = at;
    this.#container.setAttribute("aria-label", this.#description(at, total));
  }

  #description(at, total) {
    const [primary, burst] = [this.#primary.at(-1) ?? 0, this.#burst.at(-1) ?? 0];
    const known = total.findIndex((rate) => rate !== null);
    const now = `Now ${primary.toFixed(0)} results per second from primary and ${burst.toFixed(0)} from burst`;
    const before = known < 0 ? "" : `; ${(at - this.#times[known]).toFixed(0)} s ago ${total[known].toFixed(0)} in total`;
    const thresholds = this.#thresholds.map(([rate, label]) => `; ${label} ${rate}`).join("");
    const last = this.#moves.at(-1);
    return now + before + thresholds + (last ? `; moved ${(at - last[0]).toFixed(0)} s ago: ${last[1]}` : "");
  }

  #options(size) {
    const text = () => color("--bs-body-color");
    const grid = { stroke: () => color("--bs-border-color") };
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
    // uPlot takes whole pixels only: of 12.8 px it would scale the 8.
    const font = `${Math.round(0.8 * em)}px system-ui`;
    const now = () => this.#times.at(-1) ?? 0;
    const top = () => Math.max(MIN_TOP, ...this.#thresholds.map(([rate]) => rate * 1.2));
    const area = (cluster, fill) => ({ stroke: () => color(`--${cluster}-cluster`), fill, width: 2, points: { show: false } });
    return {
      ...size,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [now() - SPAN, now()] },
        y: { range: (_, min, max) => [0, Math.max(top(), (max ?? 0) * 1.15)] },
      },
      axes: [
        { stroke: text, grid, font, size: 2 * em, splits: () => MARKS.map((mark) => now() + mark), values: () => MARKS.map((mark) => (mark === 0 ? "now" : `${mark} s`)) },
        { stroke: text, grid, font, size: 3.5 * em },
      ],
      // The total is drawn first. Primary's area covers its own part, so the rest is burst's.
      series: [{}, area("burst", (plot) => hatched(plot.ctx, color("--burst-cluster"))), area("primary", () => color("--primary-cluster"))],
      hooks: { draw: [(plot) => this.#drawWatcher(plot, font)] },
    };
  }

  #drawWatcher(plot, font) {
    const { ctx, bbox: { left, top, width, height } } = plot;
    const scale = devicePixelRatio;
    const stroke = (style, lineWidth, dash, draw) => {
      ctx.strokeStyle = color(style);
      ctx.lineWidth = lineWidth * scale;
      ctx.setLineDash(dash.map((length) => length * scale));
      draw();
    };
    // A background of its own makes a line visible over any area.
    const line = (style, fromX, fromY, toX, toY, label, x, y) => {
      const path = new Path2D();
      path.moveTo(fromX, fromY);
      path.lineTo(toX, toY);
      stroke("--bs-body-bg", 4, [], () => ctx.stroke(path));
      stroke(style, 2, [6, 4], () => ctx.stroke(path));
      stroke("--bs-body-bg", 4, [], () => ctx.strokeText(label, x, y));
      ctx.fillText(label, x, y);
    };
    ctx.save();
    ctx.font = font.replace(/[\d.]+/, (size) => size * scale);
    ctx.fillStyle = color("--bs-body-color");
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    // Labels stand side by side, because the lines may be close together.
    let labelX = left + 6 * scale;
    for (const [rate, name] of this.#thresholds) {
      const y = plot.valToPos(rate, "y", true);
      const label = `${name} ${rate}`;
      line("--threshold", left, y, left + width, y, label, labelX, y - 5 * scale);
      labelX += ctx.measureText(label).width + 16 * scale;
    }
    for (const [at, label] of this.#moves) {
      const x = plot.valToPos(at, "x", true);
      const labelWidth = ctx.measureText(label).width + 5 * scale;
      const fits = x + labelWidth <= left + width;
      const labelStart = fits ? x + 5 * scale : x - labelWidth;
      if (x >= left && x <= left + width) line("--bs-body-color", x, top, x, top + height, label, labelStart, top + 16 * scale);
    }
    ctx.restore();
  }
}

/** Returns a pattern, because color alone must not distinguish the clusters. */
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
