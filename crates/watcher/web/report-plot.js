// What the charts have in common: colors, patterns, lines with labels, their size and when they are drawn again.

/* global element, uPlot, make */
/* exported axis, chart, hatch, Brush, Finding, color, redraw, refit */

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const em = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
// uPlot multiplies the size by the pixels of the screen, and understands only whole numbers.
const font = () => `${Math.round(0.8 * em())}px system-ui`;
// The width of the charts on paper, in CSS pixels.
const PAPER_WIDTH = 720;

const plots = [];

/** Makes a chart in a container, or says there why there is none. */
function chart(id, label, keys, data, options) {
  const container = element(id);
  if (typeof uPlot === "undefined") {
    container.classList.add("empty");
    container.textContent = "There is no chart: its library could not be loaded.";
    return null;
  }
  const attributes = { tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": label, "aria-describedby": keys };
  for (const [name, value] of Object.entries(attributes)) container.setAttribute(name, value);
  const size = () => ({ width: container.clientWidth, height: container.clientHeight });
  const plot = new uPlot({ ...size(), legend: { show: false }, ...options }, data, container);
  // On paper, the container's height follows from the chart's.
  new ResizeObserver(() => matchMedia("print").matches || plot.setSize(size())).observe(container);
  plots.push({ plot, size });
  return plot;
}

/** Draws all charts again, in the colors in force. */
function redraw() {
  for (const { plot } of plots) plot.redraw();
}

/** Gives all charts the width of the paper or of the page. */
function refit(isOnPaper) {
  for (const { plot, size } of plots) plot.setSize(isOnPaper ? { width: PAPER_WIDTH, height: plot.height } : size());
}

const axis = (options) => ({
  stroke: () => color("--text"), grid: { stroke: () => color("--border"), width: 1 }, ticks: { stroke: () => color("--border"), width: 1 },
  font: font(), size: 2 * em(), ...options,
});

/** Returns a pattern: wide stripes on a ground, or thin ones that lean the other way. */
function hatch(ctx, stroke, isThin = false) {
  const tile = document.createElement("canvas");
  const side = (tile.width = tile.height = 10 * devicePixelRatio);
  const brush = tile.getContext("2d");
  brush.fillStyle = brush.strokeStyle = stroke;
  brush.globalAlpha = isThin ? 0.12 : 0.45;
  brush.fillRect(0, 0, side, side);
  brush.globalAlpha = isThin ? 0.7 : 1;
  brush.lineWidth = isThin ? devicePixelRatio : side / 3;
  // The stripes of the neighbors reach into the corners of the tile.
  const [from, to] = isThin ? [0, side] : [side, 0];
  for (const shift of [-side, 0, side]) {
    brush.moveTo(shift, from);
    brush.lineTo(shift + side, to);
  }
  brush.stroke();
  return ctx.createPattern(tile, "repeat");
}

/** Draws over a plot, in pixels of its canvas. */
class Brush {
  constructor(plot) {
    this.plot = plot;
    this.ctx = plot.ctx;
    this.scale = devicePixelRatio;
  }

  /** Draws with a state of its own, inside the plot's area. */
  inside(draw) {
    const { ctx, plot: { bbox } } = this;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = font().replace(/[\d.]+/, (size) => size * this.scale);
    draw();
    ctx.restore();
  }

  x(value) {
    return this.plot.valToPos(value, "x", true);
  }

  y(value) {
    return this.plot.valToPos(value, "y", true);
  }

  line(points, style, width, dash = []) {
    const { ctx, scale } = this;
    ctx.beginPath();
    for (const [x, y] of points) ctx.lineTo(x, y);
    ctx.strokeStyle = color(style);
    ctx.lineWidth = width * scale;
    ctx.setLineDash(dash.map((length) => length * scale));
    ctx.stroke();
  }

  /** Draws a horizontal line with its name. A background of its own keeps it visible over any area. */
  limit(value, name) {
    const { plot: { bbox: { left, width } }, scale } = this;
    const y = this.y(value);
    const ends = [[left, y], [left + width, y]];
    this.line(ends, "--background", 4);
    this.line(ends, "--threshold", 2, [6, 4]);
    this.text(name, left + 6 * scale, y - 6 * scale);
  }

  text(text, x, y, align = "left") {
    const { ctx, scale } = this;
    const { width } = ctx.measureText(text);
    const left = align === "left" ? x : x - width;
    ctx.textAlign = align;
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = color("--background");
    ctx.fillRect(left - 3 * scale, y - 12 * scale, width + 6 * scale, 16 * scale);
    ctx.globalAlpha = 1;
    ctx.fillStyle = color("--text");
    ctx.fillText(text, x, y);
  }

  /** Draws a shape around a center. Its points are in CSS pixels from there. */
  shape(centerX, centerY, points, style) {
    const { ctx, scale } = this;
    ctx.beginPath();
    for (const [x, y] of points) ctx.lineTo(centerX + x * scale, centerY + y * scale);
    ctx.fillStyle = color(style);
    ctx.fill();
  }

  dot(x, y, radius, style, isFilled) {
    const { ctx, scale } = this;
    ctx.beginPath();
    ctx.arc(x, y, radius * scale, 0, 2 * Math.PI);
    ctx.setLineDash([]);
    ctx.lineWidth = scale;
    ctx.strokeStyle = ctx.fillStyle = color(style);
    ctx.stroke();
    if (isFilled) ctx.fill();
  }
}

/** The mark and the text that a chart shows where the cursor has found something. */
class Finding {
  #over;
  #mark;
  #tip = make("div", { class: "tip", "aria-hidden": "true" });

  constructor(plot, kind = "") {
    this.#over = plot.over;
    this.#mark = make("div", { class: `mark ${kind}` });
    this.#over.append(this.#mark, this.#tip);
    this.hide();
  }

  hide() {
    this.#mark.hidden = this.#tip.hidden = true;
  }

  /** Shows itself at a place of the plot, with a text beside it, if there is one. */
  show(left, text, top) {
    this.#mark.hidden = false;
    this.#mark.style.left = `${left}px`;
    if (top !== undefined) this.#mark.style.top = `${top}px`;
    this.#tip.hidden = !text;
    this.#tip.textContent = text ?? "";
    const isRight = left > this.#over.clientWidth / 2;
    this.#tip.style.left = isRight ? "auto" : `${left + 12}px`;
    this.#tip.style.right = isRight ? `${this.#over.clientWidth - left + 12}px` : "auto";
  }
}
