// How the report writes numbers and times, and makes elements. The files of this folder are joined to one module, so
// the comments below say what a file takes from the others and what it gives to them.

/* exported element, make, speak, count, rate, seconds, wholeSeconds, share, money, duration, least, Clock */

const LOCALE = "en-GB";
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
// The distances of an axis's marks.
const STEPS = [
  1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY,
];

const element = (id) => document.getElementById(id);

/** Makes an element. Text stays text, because the names of a load may hold anything. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Milliseconds until a reading is spoken: a key that is held down would speak without end.
const SPEAK_AFTER = 250;
let speaking;

/** Tells a screen reader what a key has found. */
function speak(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => (element("spoken").textContent = text), SPEAK_AFTER);
}

const withDecimals = (digits) => {
  const format = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (value) => format.format(value);
};
const [whole, tenths, hundredths] = [0, 1, 2].map(withDecimals);
const significant = (digits) => {
  const format = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: digits });
  return (value) => format.format(value);
};
const [twoDigits, threeDigits] = [2, 3].map(significant);

// A number and its unit stay in one line.
const measure = (amount, unit) => `${amount}\u00a0${unit}`;

const count = whole;
const money = hundredths;
const rate = (value) => `${value < 100 ? threeDigits(value) : whole(value)}/s`;
const seconds = (value) => measure(value < 100 ? tenths(value) : whole(value), "s");
/** Writes a whole number of seconds. */
const wholeSeconds = (value) => measure(whole(value), "s");
/** Writes a part of a whole. A small part keeps a digit that is not zero. */
const share = (part) => measure(part > 0 && part < 0.01 ? twoDigits(100 * part) : tenths(100 * part), "%");

/** Writes a number of seconds with its largest units, such as "1 d 6 h". */
function duration(length) {
  const parts = [[DAY, "d"], [HOUR, "h"], [MINUTE, "m"], [1, "s"]].map(([unit, name], index, units) => {
    const amount = Math.floor((index === 0 ? length : length % units[index - 1][0]) / unit);
    return amount > 0 ? measure(amount, name) : "";
  });
  return parts.filter(Boolean).join(" ") || measure(0, "s");
}

/** Returns the item with the smallest value. */
const least = (items, value) => items.reduce((best, item) => (best === undefined || value(item) < value(best) ? item : best), undefined);

/** Writes times of the load: in the viewer's zone if the load has a date, else since its start. */
class Clock {
  #start;
  #full;
  #marks;

  constructor(start) {
    this.#start = start;
    const format = (options) => new Intl.DateTimeFormat(LOCALE, options);
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    this.#full = format({ ...clock, year: "numeric", month: "short", day: "numeric", second: "2-digit", timeZoneName: "short" });
    this.#marks = { date: format({ day: "numeric", month: "short" }), minute: format(clock), second: format({ ...clock, second: "2-digit" }) };
  }

  /** What its times are. */
  get name() {
    return this.#start === null ? "time since the start" : `local time, ${this.#full.resolvedOptions().timeZone}`;
  }

  text(second) {
    return this.#start === null ? duration(second) : this.#full.format(this.#date(second));
  }

  /** Returns a time as an element, which also has it in UTC. */
  node(second) {
    if (this.#start === null) return make("span", {}, this.text(second));
    return Clock.timeNode(this.#date(second), this.text(second));
  }

  /** Returns a moment as an element in the viewer's zone. */
  static moment(date) {
    return Clock.timeNode(date, new Clock(0).#full.format(date));
  }

  static timeNode(date, text) {
    const utc = date.toISOString().replace(".000Z", "Z");
    return make("time", { datetime: utc, title: `${utc.replace("T", " ").replace("Z", "")} UTC` }, text);
  }

  /** Returns where an axis has marks, at least `distance` seconds from each other, at round local times. */
  splits(min, max, distance) {
    const step = this.#step(distance);
    const first = Math.floor((min + this.#offset(min)) / step);
    const marks = [];
    for (let index = first; ; index += 1) {
      const at = index * step - this.#offset(index * step - this.#offset(min));
      if (at > max) return marks;
      if (at >= min) marks.push(at);
    }
  }

  /** Writes the marks of an axis, where a new day has its date. */
  labels(marks, distance) {
    const step = this.#step(distance);
    return marks.map((mark) => {
      if (this.#start === null) return duration(mark);
      const date = this.#date(mark);
      if (step >= DAY || date.getHours() + date.getMinutes() + date.getSeconds() === 0) return this.#marks.date.format(date);
      return (step < MINUTE ? this.#marks.second : this.#marks.minute).format(date);
    });
  }

  #step(distance) {
    return STEPS.find((step) => step >= distance) ?? Math.ceil(distance / STEPS.at(-1)) * STEPS.at(-1);
  }

  #date(second) {
    return new Date((this.#start + second) * 1000);
  }

  /** The seconds from a time since the start to local time, which daylight saving changes. */
  #offset(second) {
    return this.#start === null ? 0 : this.#start - this.#date(second).getTimezoneOffset() * MINUTE;
  }
}
