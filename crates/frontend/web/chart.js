// Results per second of the last two minutes, by cluster, stacked; with the watcher's thresholds and switches drawn in.

import { byCluster, element } from "./dom.js";

// Seconds.
const SPAN = 120;
const MARKS = [-120, -90, -60, -30, 0];
const RATE_OVER = 1;
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
  // For those who want less to move.
  #drawEvery = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 0;

  constructor() {
    // Without its library there is no picture, but all the rest.
    if (typeof uPlot === "undefined") return;
    const size = () => ({ width: this.#place.clientWidth, height: this.#place.clientHeight });
    this.#plot = new uPlot(this.#options(size()), [[], [], []], this.#place);
    new ResizeObserver(() => this.#plot.setSize(size())).observe(this.#place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
  }

  /** Fills in what was before this page was opened. */
  async load() {
    const answer = await fetch("/api/history.csv").catch(() => undefined);
    if (!answer?.ok) return;
    const [header, ...rows] = (await answer.text()).trim().split("\n").map((line) => line.split(","));
    const [time, primary, burst] = ["unix_time", "results_primary", "results_burst"].map((name) => header.indexOf(name));
    const past = rows.slice(-SPAN).filter((row) => !(Number(row[time]) >= this.#times[0]));
    this.#times.unshift(...past.map((row) => Number(row[time])));
    this.#primary.unshift(...past.map((row) => Number(row[primary])));
    this.#burst.unshift(...past.map((row) => Number(row[burst])));
  }

  /** Takes a report. */
  add({ at, results }) {
    const now = { at, ...byCluster(results) };
    const last = this.#recent.at(-1);
    // A new frontend counts from zero; after a pause nobody knows when what came came.
    if (last && (results.total < last.total || at - last.at > GAP)) this.#recent = [];
    this.#recent.push({ ...now, total: results.total });
    while (this.#recent.length > 2 && at - this.#recent[1].at >= RATE_OVER) this.#recent.shift();
    const then = this.#recent[0];
    if (at > then.at) {
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
    if (!this.#plot || document.hidden || at - this.#drawn < this.#drawEvery) return;
    this.#drawn = at;
    const whole = this.#primary.map((rate, index) => (rate === null ? null : rate + this.#burst[index]));
    this.#plot.setData([this.#times, whole, this.#primary]);
    if (at - this.#described < DESCRIBED_EVERY) return;
    this.#described = at;
    const [primary, burst] = [this.#primary.at(-1) ?? 0, this.#burst.at(-1) ?? 0];
    this.#place.setAttribute("aria-label", `Now ${primary.toFixed(0)} results per second from primary and ${burst.toFixed(0)} from burst; two minutes ago ${(whole[0] ?? 0).toFixed(0)} in all`);
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
        { stroke: text, grid, font, size: 3 * em },
      ],
      // The whole first: what primary's area leaves of it is burst's.
      series: [{}, area("burst", (plot) => hatched(plot.ctx, colour("--burst-cluster"))), area("primary", () => colour("--primary-cluster"))],
      hooks: { draw: [(plot) => this.#drawWatcher(plot, font)] },
    };
  }

  #drawWatcher(plot, font) {
    const { ctx, bbox: { left, top, width, height } } = plot;
    const scale = devicePixelRatio;
    const line = (stroke, fromX, fromY, toX, toY, words, x, y) => {
      ctx.strokeStyle = colour(stroke);
      ctx.lineWidth = 2 * scale;
      ctx.setLineDash([6 * scale, 4 * scale]);
      ctx.beginPath();
      ctx.moveTo(fromX, fromY);
      ctx.lineTo(toX, toY);
      ctx.stroke();
      // Legible over any area.
      ctx.strokeStyle = colour("--bs-body-bg");
      ctx.lineWidth = 4 * scale;
      ctx.setLineDash([]);
      ctx.strokeText(words, x, y);
      ctx.fillText(words, x, y);
    };
    ctx.save();
    ctx.font = font.replace(/[\d.]+/, (size) => size * scale);
    ctx.fillStyle = colour("--bs-body-color");
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    for (const [rate, words] of this.#thresholds) {
      const y = plot.valToPos(rate, "y", true);
      line("--threshold", left, y, left + width, y, `${words} ${rate}`, left + 6 * scale, y - 5 * scale);
    }
    for (const [at, words] of this.#switches) {
      const x = plot.valToPos(at, "x", true);
      const wordsWidth = ctx.measureText(words).width;
      const wordsX = x + wordsWidth + 8 * scale > left + width ? x - wordsWidth - 5 * scale : x + 5 * scale;
      if (x >= left && x <= left + width) line("--bs-body-color", x, top, x, top + height, words, wordsX, top + 16 * scale);
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
