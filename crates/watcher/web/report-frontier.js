// The chart of a sweep: late seconds over the share to burst, for each setting that was played.

/* global element, speak, seconds, wholeSeconds, count, share, axis, chart, Brush, Finding */
/* exported Frontier, settingText */

// CSS pixels.
const REACH = 24;
const RADIUS = 4;
const DIAMOND = [[-8, 0], [0, -8], [8, 0], [0, 8]];
const SQUARE = [[-6, -6], [6, -6], [6, 6], [-6, 6]];
// Room above the highest point that must be in view.
const HEADROOM = 1.15;

/** Writes a setting, such as "capacity 13, headroom 0.8". */
const settingText = (sweep, point) => sweep.parameters.map((name, index) => `${name} ${point.values[index] ?? "by itself"}`).join(", ");

class Frontier {
  #sweep;
  #points;
  #frontier;
  #plot;
  #finding;
  #index = null;
  #top;

  constructor(sweep) {
    this.#sweep = sweep;
    // uPlot wants ascending values along the x-axis.
    this.#points = [...sweep.points].sort((one, other) => one.burst_share - other.burst_share);
    this.#frontier = this.#points.filter((point) => point.is_on_frontier);
    const needed = [...this.#frontier, sweep.points[sweep.as_set], sweep.points[sweep.knee]].filter(Boolean);
    // A bad setting may be late all day, and would press the frontier flat.
    this.#top = Math.max(1, ...needed.map((point) => point.late_high ?? point.late_seconds)) * HEADROOM;
    const values = [this.#points.map((point) => 100 * point.burst_share), this.#points.map((point) => point.late_seconds)];
    this.#plot = chart("frontier-plot", this.#label(), "frontier-axis", values, this.#options());
    element("frontier-axis").append(this.#axisText());
    if (!this.#plot) return;
    this.#finding = new Finding(this.#plot, "point");
    element("frontier-plot").addEventListener("keydown", (event) => this.#press(event));
    element("frontier-plot").addEventListener("blur", () => this.#select(null));
    this.#select(null);
  }

  #options() {
    const shares = this.#points.flatMap((point) => [point.share_low ?? point.burst_share, point.share_high ?? point.burst_share]);
    const [low, high] = [Math.min(...shares) * 100, Math.max(...shares) * 100];
    const room = Math.max(1, (high - low) * 0.08);
    return {
      scales: { x: { time: false, range: () => [Math.max(0, low - room), high + room] }, y: { range: () => [-0.1 * this.#top, this.#top] } },
      axes: [axis({ values: (_, marks) => marks.map((mark) => `${mark} %`) }), axis({ size: 76, values: (_, marks) => marks.map((mark) => (mark < 0 ? "" : wholeSeconds(mark))) })],
      padding: [12, 16, 0, 0],
      series: [{}, { paths: () => null, points: { show: false } }],
      cursor: { x: false, y: false, points: { show: false }, drag: { x: false, y: false } },
      hooks: { draw: [(plot) => this.#draw(new Brush(plot))], setCursor: [(plot) => this.#point(plot)] },
    };
  }

  #draw(brush) {
    const place = (point) => [brush.x(100 * point.burst_share), brush.y(point.late_seconds)];
    const named = [[this.#sweep.knee, DIAMOND, "knee"], [this.#sweep.as_set, SQUARE, "as set"]]
      .filter(([index]) => this.#sweep.points[index]);
    brush.inside(() => {
      // Names come first, because their background must not hide a point.
      const isOne = named.length > 1 && this.#sweep.knee === this.#sweep.as_set;
      const labels = isOne ? [[named[0][0], "knee, as set"]] : named.map(([index, , name]) => [index, name]);
      // The upper point has its name above itself, and the lower one below.
      labels.sort(([one], [other]) => this.#sweep.points[other].late_seconds - this.#sweep.points[one].late_seconds);
      labels.forEach(([index, name], order) => this.#drawLabel(brush, this.#sweep.points[index], name, order === 0 ? -12 : 22));
      for (const point of this.#points) if (!point.is_on_frontier) brush.dot(...place(point), RADIUS - 1, "--threshold", false);
      brush.line(this.#frontier.map(place), "--primary-cluster", 2);
      // The bars of all points would hide them.
      for (const [index] of named) this.#drawBars(brush, this.#sweep.points[index]);
      for (const point of this.#frontier) brush.dot(...place(point), RADIUS, "--primary-cluster", true);
      for (const [index, shape] of named) brush.shape(...place(this.#sweep.points[index]), shape, "--text");
    });
  }

  #drawBars(brush, point) {
    const [x, y] = [brush.x(100 * point.burst_share), brush.y(point.late_seconds)];
    const bar = (low, high, ends) => low < high && brush.line(ends(low, high), "--text", 1);
    bar(point.late_low, point.late_high, (low, high) => [[x, brush.y(low)], [x, brush.y(high)]]);
    bar(point.share_low, point.share_high, (low, high) => [[brush.x(100 * low), y], [brush.x(100 * high), y]]);
  }

  /** Writes a name beside a point, on the side that has room. */
  #drawLabel(brush, point, name, shift) {
    const { scale, plot: { bbox } } = brush;
    const x = brush.x(100 * point.burst_share);
    const y = brush.y(point.late_seconds);
    const all = `${name}: ${settingText(this.#sweep, point)}`;
    const widthOf = (text) => brush.ctx.measureText(text).width + 20 * scale;
    const [before, after] = [x - bbox.left, bbox.left + bbox.width - x];
    const text = widthOf(all) < Math.max(before, after) ? all : name;
    const isLeft = widthOf(text) > after;
    brush.text(text, x + (isLeft ? -12 : 12) * scale, Math.max(y + shift * scale, bbox.top + 16 * scale), isLeft ? "right" : "left");
  }

  #point(plot) {
    const { left, top } = plot.cursor;
    if (!(left >= 0)) return this.#select(null);
    const distance = (point) => Math.hypot(plot.valToPos(100 * point.burst_share, "x") - left, plot.valToPos(point.late_seconds, "y") - top);
    const nearest = this.#points.reduce((best, point, index) => (best === null || distance(point) < distance(this.#points[best]) ? index : best), null);
    this.#select(nearest !== null && distance(this.#points[nearest]) <= REACH ? nearest : null);
  }

  /** Shows a point's values, and returns them. */
  #select(index) {
    this.#index = index;
    const point = this.#points[index];
    const text = point ? this.#pointText(point) : "Point at a setting to read its values. With the keyboard: ← → go from setting to setting, and Enter along the frontier.";
    element("frontier-reading").textContent = text;
    if (!point) this.#finding.hide();
    else this.#finding.show(this.#plot.valToPos(100 * point.burst_share, "x"), null, this.#plot.valToPos(point.late_seconds, "y"));
    return text;
  }

  #press(event) {
    const { key, shiftKey, ctrlKey, altKey, metaKey } = event;
    const direction = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Enter: shiftKey ? -1 : 1 }[key];
    if (ctrlKey || altKey || metaKey || !direction) return;
    event.preventDefault();
    let next = this.#index ?? (direction > 0 ? -1 : this.#points.length);
    do next += direction;
    while (key === "Enter" && this.#points[next]?.is_on_frontier === false);
    if (this.#points[next]) speak(this.#select(next));
    else speak("There is no other setting in this direction.");
  }

  #pointText(point) {
    const between = (low, high, write) => (low < high ? ` (${write(low)} to ${write(high)})` : "");
    const names = [[this.#sweep.knee, "knee"], [this.#sweep.as_set, "as set"]].filter(([index]) => this.#sweep.points[index] === point);
    const kind = point.is_on_frontier ? "on the frontier" : "another setting is better in both";
    const late = `late for ${wholeSeconds(point.late_seconds)}${between(point.late_low, point.late_high, wholeSeconds)}`;
    const burst = `${share(point.burst_share)} to burst${between(point.share_low, point.share_high, share)}`;
    return `${settingText(this.#sweep, point)}: ${late}, ${burst}, longest wait ${seconds(point.longest_wait_seconds)}; ${[...names.map(([, name]) => name), kind].join(", ")}.`;
  }

  #label() {
    return `${this.#points.length} settings, ${this.#frontier.length} of them on the frontier: late seconds by the share to burst. The table below has the frontier’s values.`;
  }

  #axisText() {
    const above = this.#points.filter((point) => point.late_seconds > this.#top).length;
    const cut = above > 0 ? ` ${above === 1 ? "One setting is" : `${count(above)} settings are`} above the upper edge.` : "";
    return `Across: the share to burst. Up: late seconds. Bars show where nine in ten resamples of the load lie.${cut}`;
  }
}
