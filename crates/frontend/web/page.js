// String Hashr: connects the controls, the numbers, the chart and the story to the frontend.

import { Chart } from "./chart.js";
import { Controls } from "./controls.js";
import { showMessage } from "./dom.js";
import { Figures, setState } from "./figures.js";
import { addHash } from "./hashes.js";
import { Story } from "./story.js";
import { showWatcher } from "./watcher.js";

// Milliseconds after the last report in which its numbers are shown as current.
const SILENT_AFTER = 3000;
// The longest answer of a server that is shown, in characters.
const MAX_WORDS = 300;

/** Says why a connection failed: what the server said, if it answered in plain words. */
function describeRefusal({ context }) {
  const { status, responseText } = context ?? {};
  const words = (responseText ?? "").trim();
  if (!status) return "No connection, trying again…";
  const said = words && words.length <= MAX_WORDS && !/^[<{]/.test(words) ? words : `the server answered ${status}`;
  return `No connection: ${said}. Trying again…`;
}

function start(socket) {
  const figures = new Figures();
  const chart = new Chart();
  const controls = new Controls(socket);
  const story = new Story((freq) => controls.request(freq));
  let silence;
  let isLost = false;
  // The frontend sends an update of the watcher on connection, and then only when it changes.
  let watcherUpdate;

  const showLoss = (text) => {
    clearTimeout(silence);
    isLost = true;
    figures.forget();
    showWatcher({ state: "lost" });
    story.stop("The story stopped: the connection is lost.");
    setState(text, "danger");
  };

  socket.on("connect", () => {
    watcherUpdate = undefined;
    figures.forget();
    showMessage("refused");
    chart.load();
  });
  socket.on("visitor", (number) => figures.addVisitorNumber(number));
  socket.on("stats", (stats) => {
    clearTimeout(silence);
    silence = setTimeout(() => showLoss("The frontend is silent…"), SILENT_AFTER);
    if (isLost && watcherUpdate) showWatcher(watcherUpdate);
    isLost = false;
    figures.show(stats);
    controls.show(stats.freq);
    chart.add(stats);
    story.observe(stats, figures.burstShare);
  });
  socket.on("watcher", (update) => {
    watcherUpdate = update;
    showWatcher(update);
    chart.setWatcher(update);
    story.setWatcher(update);
  });
  socket.on("calculation", addHash);
  socket.on("refused", (error) => showMessage("refused", error));
  socket.on("disconnect", (reason, details) => {
    if (reason === "io server disconnect") showLoss("The frontend ended the connection. Reload the page to connect again.");
    else showLoss(details?.context?.status >= 400 ? describeRefusal(details) : "The connection is lost, connecting again…");
  });
  socket.on("connect_error", (error) => setState(describeRefusal(error), "danger"));
}

if (typeof io === "undefined") setState("The libraries of this page are missing: the build did not embed them, and the internet did not provide them.", "danger");
// The page may be served under a path.
else start(io({ path: new URL("socket.io/", document.baseURI).pathname }));
