// String Hashr: asks for a frequency, shows what comes of it.

import { Chart } from "./chart.js";
import { Controls } from "./controls.js";
import { Figures, setState } from "./figures.js";
import { addHash } from "./hashes.js";
import { Story } from "./story.js";
import { showWatcher } from "./watcher.js";
import { say } from "./dom.js";

// Milliseconds: so long after the last report, which comes four times a second, nothing is known any more.
const SILENT_AFTER = 3000;

function start(socket) {
  const figures = new Figures();
  const chart = new Chart();
  const controls = new Controls(socket);
  const story = new Story((freq) => controls.ask(freq));
  let silence;

  const lose = (why) => {
    clearTimeout(silence);
    figures.forget();
    showWatcher({ state: "lost" });
    story.stop("The story was stopped: the connection is lost.");
    setState(why, "danger");
  };

  socket.on("connect", () => {
    figures.forget();
    say("refused");
    chart.load();
  });
  socket.on("visitor", (number) => figures.visitor(number));
  socket.on("stats", (stats) => {
    clearTimeout(silence);
    silence = setTimeout(() => lose("The frontend is silent…"), SILENT_AFTER);
    figures.show(stats);
    controls.show(stats.freq);
    chart.add(stats);
    story.look(stats, figures.burstShare);
  });
  socket.on("watcher", (view) => {
    showWatcher(view);
    chart.setWatcher(view);
  });
  socket.on("calculation", addHash);
  socket.on("refused", (sentence) => say("refused", sentence));
  socket.on("disconnect", (reason) => {
    const isOver = reason === "io server disconnect";
    lose(isOver ? "The connection was ended; reload to connect again." : "The connection is lost, connecting again…");
  });
  socket.on("connect_error", () => setState("No connection, trying again…", "danger"));
}

if (typeof io === "undefined") setState("The page's libraries are not there: it was built without them, and they cannot be had from the internet.", "danger");
else start(io());
