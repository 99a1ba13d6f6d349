// String Hashr: asks for a rate, shows what comes of it.

const MAX_HASHES = 50;
// A SHA-256 digest in base64, behind the prefix of a worker that is not primary's.
const PREFIXED_HASH = /^[!-~]+[A-Za-z0-9+/]{43}=$/;
// Reports that the share of the clusters is taken over: two seconds.
const SHARE_REPORTS = 8;

const element = (id) => document.getElementById(id);
const show = (id, text) => {
  element(id).textContent = text;
};

const reports = [];

function setState(text, level) {
  const state = element("state");
  state.className = `alert alert-${level} py-2`;
  if (state.textContent !== text) state.textContent = text;
}

function refuse(sentence) {
  const refused = element("refused");
  refused.hidden = !sentence;
  refused.textContent = sentence ?? "";
}

// Text only: a message is data, whatever it looks like.
function addHash(message) {
  const item = document.createElement("li");
  item.textContent = message;
  item.classList.toggle("burst", PREFIXED_HASH.test(message));
  const hashes = element("hashes");
  hashes.prepend(item);
  while (hashes.childElementCount > MAX_HASHES) hashes.lastElementChild.remove();
}

function addStats(stats) {
  const failed = Object.values(stats.ledger.failed).reduce((sum, count) => sum + count, 0);
  show("asked", stats.freq);
  element("frequency").placeholder = stats.freq || 5;
  show("achieved", stats.achieved.toFixed(1));
  show("answered", stats.ledger.answered);
  show("failed", failed);
  show("viewers", stats.viewers);
  for (const quantile of ["p50", "p99"]) {
    const ms = stats.latencies.corrected.count > 0 ? stats.latencies.corrected[quantile] : undefined;
    show(`latency-${quantile}`, ms === undefined ? "–" : `${ms.toFixed(1)} ms`);
  }

  reports.push({ ...stats, failed });
  if (reports.length > SHARE_REPORTS) reports.shift();
  showShare();
  showState(stats, failed - reports[0].failed);
}

function showShare() {
  const newest = reports.at(-1).results.by_prefix;
  const oldest = reports[0].results.by_prefix;
  let primary = 0;
  let burst = 0;
  for (const [prefix, count] of Object.entries(newest)) {
    // What no worker has published.
    if (prefix === "other") continue;
    const results = count - (oldest[prefix] ?? 0);
    if (prefix === "") primary += results;
    else burst += results;
  }
  const share = (results) => Math.round((100 * results) / (primary + burst));
  for (const [cluster, results] of [["primary", primary], ["burst", burst]]) {
    const known = primary + burst > 0;
    show(`${cluster}-share`, known ? `${share(results)} %` : "–");
    element(`${cluster}-bar`).parentElement.style.width = known ? `${share(results)}%` : "0";
  }
}

function showState(stats, failedLately) {
  if (stats.feed.state === "away") setState(`Redis is away: ${stats.feed.reason}`, "danger");
  else if (failedLately > 0) setState(`Requests to the workers fail: ${kinds(stats)} in the last two seconds`, "warning");
  else if (stats.stopped) setState(`Stopped: ${stats.stopped}. Enter a frequency.`, "warning");
  else if (stats.freq === 0) setState(stats.ledger.planned > 0 ? "Stopped. Enter a frequency." : "Connected. Enter a frequency.", "secondary");
  else setState("Live", "success");
}

function kinds(stats) {
  const before = reports[0].ledger.failed;
  return Object.entries(stats.ledger.failed)
    .filter(([kind, count]) => count > before[kind])
    .map(([kind, count]) => `${count - before[kind]} ${kind.replace("_", " ")}`)
    .join(", ");
}

const socket = io();
socket.on("connect", () => reports.splice(0));
socket.on("disconnect", (reason) => {
  // What was true a moment ago is not known now.
  for (const output of document.querySelectorAll("output")) output.textContent = "–";
  const isOver = reason === "io server disconnect";
  setState(isOver ? "The connection was ended; reload to connect again." : "The connection is lost, connecting again…", "danger");
});
socket.on("connect_error", () => setState("No connection, trying again…", "danger"));
socket.on("calculation", addHash);
socket.on("stats", addStats);
socket.on("refused", refuse);

element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const freq = element("frequency").value;
  // Only where the frontend wants one.
  const token = element("token")?.value;
  socket.timeout(5000).emit("frequency", { freq, token }, (lost, answer) => {
    if (lost) refuse("There is no answer; is the connection lost?");
    else refuse(answer.error);
  });
});
