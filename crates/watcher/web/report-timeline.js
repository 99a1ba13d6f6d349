// The charts of the load and of the queue. They share the time in view, the cursor and the switches.

/* global element, make, speak, rate, seconds, wholeSeconds, share, axis, chart, hatch, Brush, Finding, color */
/* global groupSwitches, drawMarkers, SWITCH_STRIP, burstOf */
/* exported Timeline */

// The seconds of waiting above which a second counts as late.
const LATE_ABOVE = 1;
const FEWEST_BINS = 6;
// CSS pixels.
const MARK_WIDTH = 90;
const NEAR = 6;
const SHORTEST_DRAG = 5;
// Arrow keys with Shift move by this part of the view.
const LONG_STEP = 0.1;

class Timeline {
  #data;
  #series;
  #clock;
  #times;
  #unknown;
  #plots = [];
  #findings = [];
  #markers = [];
  #index = null;
  #switch = null;
  #isViewChanging = false;

  constructor(data, clock) {
    this.#data = data;
    this.#series = data.series;
    this.#clock = clock;
    const { load, to_burst: toBurst, load_max: highest, wait_max: wait, step } = data.series;
    // A value stands in the middle of its bin, so that the nearest value is that of the bin below the pointer.
    this.#times = load.map((_, index) => (index + 0.5) * step);
    this.#unknown = unknownRanges(load, step);
    const toPrimary = load.map((value, index) => (value === null ? null : value - toBurst[index]));
    const line = (style, width) => ({ stroke: () => color(style), width, points: { show: false }, paths: (...all) => this.#path(...all) });
    const area = (cluster, fill) => ({ ...line(`--${cluster}-cluster`, 1), fill });
    // The whole load is drawn first. Primary's area covers its own part, so the rest is burst's.
    const burst = area("burst", (plot) => hatch(plot.ctx, color("--burst-cluster")));
    const loadSeries = [{}, burst, area("primary", () => color("--primary-cluster")), line("--text", 1)];
    const limit = data.primary_carries;
    this.#add("load-plot", this.#loadLabel(), [this.#times, load, toPrimary, highest], loadSeries, limit, `primary carries ${rate(limit)}`);
    this.#add("queue-plot", this.#queueLabel(), [this.#times, wait], [{}, { ...line("--primary-cluster", 2) }], LATE_ABOVE, "late above 1 s");
    this.#hint();
  }

  #add(id, label, values, series, limit, name) {
    const plot = chart(id, label, "keys", values, { ...this.#options(limit, name), series });
    if (!plot) return;
    this.#plots.push(plot);
    this.#findings.push(new Finding(plot));
    element(id).addEventListener("keydown", (event) => this.#press(event));
    element(id).addEventListener("blur", () => this.#clear());
  }

  #options(limit, name) {
    const distance = (plot) => ((plot.scales.x.max - plot.scales.x.min) * MARK_WIDTH) / Math.max(1, plot.bbox.width / devicePixelRatio);
    return {
      scales: {
        x: { time: false, range: (_, min, max) => (min === null ? this.#whole() : [min, max]), min: 0, max: this.#data.seconds },
        // The upper edge belongs to the markers.
        y: { range: (plot, _, max) => [0, (Math.max(limit * 1.1, max ?? 0) * 1.05 * plot.height) / (plot.height - 2 * SWITCH_STRIP)] },
      },
      axes: [
        axis({ splits: (plot, _, min, max) => this.#clock.splits(min, max, distance(plot)), values: (plot, marks) => this.#clock.labels(marks, distance(plot)) }),
        axis({ size: 56 }),
      ],
      padding: [8, 16, 0, 0],
      cursor: {
        y: false, points: { show: false },
        // The other chart follows the pointer, but a drag in both would zoom twice.
        sync: { key: "timeline", scales: ["x", null], filters: { pub: (type) => type !== "mousedown" && type !== "mouseup" } },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => this.#view(...this.#whole()) },
      },
      hooks: {
        drawClear: [(plot) => this.#drawUnknown(new Brush(plot))],
        draw: [(plot) => this.#draw(new Brush(plot), limit, name)],
        setCursor: [(plot) => plot === this.#plots[0] && this.#point(plot)],
        setSelect: [(plot) => this.#zoomTo(plot)],
      },
    };
  }

  /** The path of a series: a step for each bin, and nothing where nothing is known. */
  #path(plot, series, first, last) {
    const [stroke, fill] = [new Path2D(), new Path2D()];
    const half = this.#series.step / 2;
    const values = plot.data[series];
    const floor = plot.valToPos(0, "y", true);
    let isOpen = false;
    for (let index = Math.max(0, first - 1); index <= Math.min(values.length - 1, last + 1); index += 1) {
      if (values[index] === null) {
        isOpen = false;
        continue;
      }
      const [left, right] = [-half, half].map((shift) => plot.valToPos(this.#times[index] + shift, "x", true));
      const top = plot.valToPos(values[index], "y", true);
      stroke[isOpen ? "lineTo" : "moveTo"](left, top);
      stroke.lineTo(right, top);
      fill.rect(left, top, right - left, floor - top);
      isOpen = true;
    }
    return { stroke, fill };
  }

  #drawUnknown(brush) {
    brush.inside(() => {
      const { ctx, plot: { bbox } } = brush;
      ctx.fillStyle = hatch(ctx, color("--unknown"), true);
      for (const [from, to] of this.#unknown) ctx.fillRect(brush.x(from), bbox.top, Math.max(2 * brush.scale, brush.x(to) - brush.x(from)), bbox.height);
    });
  }

  #draw(brush, limit, name) {
    this.#markers = groupSwitches(brush.plot, this.#data.switches.list);
    brush.inside(() => {
      brush.limit(limit, name);
      drawMarkers(brush, this.#markers);
    });
  }

  /** Shows what is below the pointer. */
  #point(plot) {
    if (this.#isViewChanging) return;
    const { left, idx } = plot.cursor;
    if (!(left >= 0) || idx === null || idx === undefined) {
      this.#clear();
      return;
    }
    const near = this.#markers.filter((marker) => Math.abs(marker.left - left) <= NEAR);
    const [marker] = near.sort((one, other) => Math.abs(one.left - left) - Math.abs(other.left - left));
    this.#switch = marker ? this.#data.switches.list.indexOf(marker.switches[0]) : null;
    this.#index = idx;
    this.#show(marker?.switches.length ?? 0);
  }

  #show(together) {
    const found = this.#data.switches.list[this.#switch];
    const text = found && this.#switchText(found, together);
    if (found) this.#findings.forEach((finding, index) => finding.show(this.#plots[0].valToPos(found.second, "x"), index === 0 && text));
    else for (const finding of this.#findings) finding.hide();
    const lines = [this.#binText(this.#index), text].filter(Boolean);
    element("reading").replaceChildren(...lines.map((line) => make("span", {}, line)));
    // A switch is what the reader was looking for, so it is spoken first.
    return lines.reverse().join(" ");
  }

  #clear() {
    this.#index = this.#switch = null;
    for (const finding of this.#findings) finding.hide();
    this.#hint();
  }

  #hint() {
    element("reading").textContent = this.#plots.length > 0 ? "Point at a chart, or move to it with Tab, to read its values." : "";
  }

  #switchText({ second, from, to, reason, text }, together) {
    const more = together > 1 ? ` (the first of ${together} switches here; zoom in for the others)` : "";
    const direction = burstOf(to) > burstOf(from) ? "more to burst" : "less to burst";
    return `Switch at ${this.#clock.text(second)}, ${direction}, from ${from} to ${to}: ${text || reason}${more}`;
  }

  #binText(index) {
    const { step, load, load_max: highest, to_burst: toBurst, wait_max: wait } = this.#series;
    const span = step > 1 ? ` and the ${wholeSeconds(step - 1)} after` : "";
    const when = `${this.#clock.text(index * step)}${span}: `;
    if (load[index] === null) return `${when}nothing is known.`;
    const part = load[index] > 0 ? ` (${share(toBurst[index] / load[index])})` : "";
    return `${when}${rate(load[index])} on average, ${rate(highest[index])} in the highest second; ${rate(toBurst[index])} to burst${part}; longest wait ${seconds(wait[index] ?? 0)}.`;
  }

  #whole() {
    return [0, this.#data.seconds];
  }

  #zoomTo(plot) {
    const { left, width } = plot.select;
    if (width < SHORTEST_DRAG) return;
    const [from, to] = [left, left + width].map((edge) => plot.posToVal(edge, "x"));
    for (const one of this.#plots) one.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#view(from, to);
  }

  /** Shows a span of time in both charts. */
  #view(from, to) {
    const all = this.#data.seconds;
    const length = Math.min(all, Math.max(to - from, FEWEST_BINS * this.#series.step));
    const min = Math.min(Math.max(0, (from + to - length) / 2), all - length);
    // uPlot reports what has come below the cursor, but the cursor stays at its time.
    this.#isViewChanging = true;
    for (const plot of this.#plots) plot.batch(() => plot.setScale("x", { min, max: min + length }));
    this.#isViewChanging = false;
    if (this.#index !== null) this.#follow();
  }

  #press(event) {
    const { key, shiftKey, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey) return;
    const { min, max } = this.#plots[0].scales.x;
    const step = shiftKey ? Math.max(1, Math.round(((max - min) / this.#series.step) * LONG_STEP)) : 1;
    const [first, last] = [this.#bin(min), this.#bin(max - this.#series.step / 2)];
    const actions = {
      ArrowLeft: () => this.#moveTo((this.#index ?? last + step) - step),
      ArrowRight: () => this.#moveTo((this.#index ?? first - step) + step),
      Home: () => this.#moveTo(first),
      End: () => this.#moveTo(last),
      ArrowDown: () => this.#moveToSwitch(1),
      ArrowUp: () => this.#moveToSwitch(-1),
      Enter: () => this.#moveToSwitch(shiftKey ? -1 : 1),
      "+": () => this.#zoomBy(0.5),
      "=": () => this.#zoomBy(0.5),
      "-": () => this.#zoomBy(2),
      Escape: () => this.#view(...this.#whole()),
    };
    if (!actions[key]) return;
    event.preventDefault();
    actions[key]();
  }

  #bin(second) {
    return Math.min(this.#times.length - 1, Math.max(0, Math.floor(second / this.#series.step)));
  }

  #moveTo(index) {
    this.#switch = null;
    this.#index = Math.min(this.#times.length - 1, Math.max(0, index));
    this.#place();
  }

  #moveToSwitch(direction) {
    const { list } = this.#data.switches;
    const { min, max } = this.#plots[0].scales.x;
    // Without a switch to go on from, the cursor's time or the edge of the view says which is the next.
    const edge = direction > 0 ? min - 1 : max + 1;
    const now = this.#index === null ? edge : this.#times[this.#index];
    const nearest = direction > 0 ? list.findIndex(({ second }) => second > now) : list.findLastIndex(({ second }) => second < now);
    const next = this.#switch === null ? nearest : this.#switch + direction;
    if (!list[next]) return speak("There is no other switch in this direction.");
    this.#switch = next;
    this.#index = this.#bin(list[next].second);
    this.#place();
  }

  /** Moves to where the cursor should be, and speaks what is there. */
  #place() {
    const { min, max } = this.#plots[0].scales.x;
    const second = this.#second;
    if (second < min || second > max) this.#view(second - (max - min) / 2, second + (max - min) / 2);
    else this.#follow();
    speak(this.#show(1));
  }

  get #second() {
    return this.#data.switches.list[this.#switch]?.second ?? this.#times[this.#index];
  }

  #follow() {
    for (const plot of this.#plots) plot.setCursor({ left: plot.valToPos(this.#second, "x"), top: 0 }, false);
    this.#show(1);
  }

  #zoomBy(factor) {
    const { min, max } = this.#plots[0].scales.x;
    const center = this.#index === null ? (min + max) / 2 : this.#second;
    const part = (center - min) / (max - min);
    const length = (max - min) * factor;
    this.#view(center - length * part, center + length * (1 - part));
  }

  #loadLabel() {
    const known = (values) => values.filter((value) => value !== null);
    const [means, highest] = [known(this.#series.load), known(this.#series.load_max)];
    if (means.length === 0) return "The load: nothing is known.";
    const [low, high, top] = [Math.min(...means), Math.max(...means), Math.max(...highest)].map(rate);
    return `The load: between ${low} and ${high} on average, ${top} in the highest second. Primary carries ${rate(this.#data.primary_carries)}.`;
  }

  #queueLabel() {
    const { wait_max: wait, step } = this.#series;
    const longest = wait.reduce((best, value, index) => (value !== null && value > (wait[best] ?? -1) ? index : best), 0);
    if (wait[longest] === null || wait[longest] === undefined) return "The longest wait at primary: nothing is known.";
    return `The longest wait at primary: ${seconds(wait[longest])}, at ${this.#clock.text(longest * step)}. Late above ${LATE_ABOVE} s.`;
  }
}

/** Returns the spans of time of which nothing is known. */
function unknownRanges(load, step) {
  const ranges = [];
  load.forEach((value, index) => {
    if (value !== null) return;
    if (ranges.at(-1)?.[1] === index * step) ranges.at(-1)[1] += step;
    else ranges.push([index * step, (index + 1) * step]);
  });
  return ranges;
}
