// The report: fills the page from its data, and keeps its charts in the colors of the screen or of paper.

/* global element, make, count, rate, seconds, wholeSeconds, share, money, duration, least, Clock */
/* global redraw, refit, Timeline, Frontier, rulesTable, frontierTable, switchesTable */

// Rules that no watcher can follow, or that nobody would.
const BOUNDS = ["always burst", "never burst", "oracle"];
// More rows than these would fill the paper.
const MOST_PRINTED_SWITCHES = 200;

const data = JSON.parse(element("data").textContent);
const clock = new Clock(data.start);

/** Shows a text, or hides its element if there is none. */
function showOrHide(id, text) {
  element(id).hidden = !text;
  element(id).textContent = text ?? "";
}

function describeLoad() {
  const known = data.seconds - data.unknown_seconds;
  const unknown = data.unknown_seconds > 0 ? `, of which ${duration(data.unknown_seconds)} are unknown` : "";
  const average = known > 0 ? `, ${rate(data.requests / known)} on average` : "";
  element("what").textContent =
    `What the policy as set would have done to the load of ${data.load}: ${duration(data.seconds)}${unknown}, ` +
    `with ${count(data.requests)} requests${average}. Primary carries ${rate(data.primary_carries)}. ` +
    `The signal is ${data.signal}, with ${data.arrivals} arrivals. Nothing was moved.`;
}

const late = (rule) => `late for ${wholeSeconds(rule.late_seconds)}`;
const toBurst = (rule) => `${share(rule.burst_share)} to burst`;

function summarize() {
  const rules = data.rules.filter(({ signal, arrivals }) => signal === data.signal && arrivals === data.arrivals);
  const byName = (name) => rules.find(({ rule }) => rule === name);
  const set = byName("policy as set");
  if (!set) return;
  const part = set.late_seconds / Math.max(1, set.seconds - set.unknown_seconds);
  const strong = (text) => make("strong", {}, text);
  const cost = set.cost === null ? [] : [", at a cost of ", strong(money(set.cost))];
  const first = make("p", {},
    "For ", strong(wholeSeconds(set.late_seconds)), ` (${share(part)} of the time), a new request would have waited for more `,
    "than a second; the longest wait is ", strong(seconds(set.longest_wait_seconds)), ". ",
    strong(share(set.burst_share)), " of the requests would have gone to burst", ...cost, ".");
  const others = rules.filter((rule) => rule !== set && !BOUNDS.includes(rule.rule));
  element("summary").append(first, make("p", {}, bounds(byName("never burst"), byName("oracle"))), make("p", {}, comparison(set, others)));
}

function bounds(never, oracle) {
  const without = never ? `Without burst, the load would have been ${late(never)}. ` : "";
  if (!oracle) return without;
  const ideal = oracle.late_seconds === 0 ? "never have been late" : `have been ${late(oracle)}`;
  return `${without}With ${toBurst(oracle)}, an oracle that knows each second before it comes would ${ideal}.`;
}

/** Says which other rules would have been better, and what that would have cost. */
function comparison(set, others) {
  if (others.length === 0) return "";
  const name = ({ rule }) => `“${rule}”`;
  const isEarlier = (rule) => rule.late_seconds < set.late_seconds;
  const isCheaper = (rule) => rule.burst_share < set.burst_share;
  const isBetter = (rule) => (isEarlier(rule) || isCheaper(rule)) && rule.late_seconds <= set.late_seconds && rule.burst_share <= set.burst_share;
  const better = least(others.filter(isBetter), (rule) => rule.late_seconds);
  if (better) return `The rule ${name(better)} would have been better: ${late(better)}, with ${toBurst(better)}.`;
  const earlier = least(others.filter(isEarlier), (rule) => rule.late_seconds);
  const cheaper = least(others.filter(isCheaper), (rule) => rule.burst_share);
  if (!earlier && !cheaper) return "None of the other rules would have been late for less time, or have sent less to burst.";
  const first = earlier ? `${name(earlier)} would have been late for less time (${wholeSeconds(earlier.late_seconds)}), but with ${toBurst(earlier)}` : "none would have been late for less time";
  const second = cheaper ? `${name(cheaper)} would have sent less to burst (${share(cheaper.burst_share)}), but would have been ${late(cheaper)}` : "none would have sent less to burst";
  return `Of the other rules, ${first}; ${second}.`;
}

function showSweep(sweep) {
  if (!sweep) return;
  element("sweep").hidden = false;
  element("recommendation").textContent = sweep.recommendation;
  element("frontier").append(frontierTable(sweep));
  new Frontier(sweep);
}

function showSwitches({ total, list }) {
  const details = element("switches");
  const left = total - list.length;
  showOrHide("switches-left-out", left > 0 && `The list has the first ${count(list.length)} of ${count(total)} switches; ${count(left)} are left out, here and on the charts.`);
  details.hidden = list.length === 0;
  if (list.length === 0) showOrHide("switches-left-out", "The policy would have written nothing.");
  details.querySelector("summary").textContent = list.length === 1 ? "One switch, with its reason" : `${count(list.length)} switches, with their reasons`;
  details.append(switchesTable(list, clock));
  if (list.length <= MOST_PRINTED_SWITCHES) details.dataset.print = "open";
}

function showSource() {
  const price = data.price_per_million === null ? "" : ` A million requests to burst cost ${data.price_per_million}.`;
  element("source").append(`The load is ${data.load}.${price} The report was made at `, Clock.moment(new Date(data.made_at)), ".");
  element("axis").textContent = `Across: ${clock.name}.${data.series.step > 1 ? ` Each value is of ${duration(data.series.step)}.` : ""}`;
}

/** Prepares the page for paper, or for the screen again. */
function prepare(isOnPaper) {
  const { classList } = document.documentElement;
  // A browser may announce the same print twice.
  if (classList.contains("printing") === isOnPaper) return;
  classList.toggle("printing", isOnPaper);
  for (const details of document.querySelectorAll("details[data-print]")) {
    if (isOnPaper) details.dataset.wasOpen = details.open;
    details.open = isOnPaper || details.dataset.wasOpen === "true";
  }
  redraw();
  refit(isOnPaper);
}

describeLoad();
summarize();
showOrHide("note", data.note);
for (const node of document.querySelectorAll("[data-key=unknown]")) node.hidden = !data.series.load.includes(null);
for (const node of document.querySelectorAll("[data-key=switches]")) node.hidden = data.switches.list.length === 0;
for (const node of document.querySelectorAll("[data-priced]")) node.hidden = data.price_per_million === null;
element("rules").append(rulesTable(data));
showSwitches(data.switches);
showSource();
new Timeline(data, clock);
element("keys").hidden = element("reading").hidden = typeof uPlot === "undefined";
showSweep(data.sweep);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
const paper = matchMedia("print");
paper.addEventListener("change", () => prepare(paper.matches));
addEventListener("beforeprint", () => prepare(true));
addEventListener("afterprint", () => prepare(false));
