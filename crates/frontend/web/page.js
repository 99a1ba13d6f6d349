// String Hashr: asks for a frequency, shows what comes of it.

import { Chart } from "./chart.js";
import { Controls } from "./controls.js";
import { Figures, setState } from "./figures.js";
import { addHash } from "./hashes.js";
import { Story } from "./story.js";
import { showWatcher } from "./watcher.js";
import { say } from "./dom.js";

function start(socket) {
  const figures = new Figures();
  const chart = new Chart();
  const controls = new Controls(socket);
  const story = new Story((freq) => controls.ask(freq));
  let me;

  socket.on("connect", () => {
    figures.forget();
    chart.load();
  });
  socket.on("visitor", (number) => {
    me = number;
  });
  socket.on("stats", (stats) => {
    figures.show(stats, me);
    controls.show(stats.freq);
    chart.add(stats);
    story.look(stats, figures.burstShare());
  });
  socket.on("watcher", (view) => {
    showWatcher(view);
    chart.setWatcher(view);
  });
  socket.on("calculation", addHash);
  socket.on("refused", (sentence) => say("refused", sentence));
  socket.on("disconnect", (reason) => {
    figures.forget();
    showWatcher({ state: "lost" });
    story.stop("The story was stopped: the connection is lost.");
    const isOver = reason === "io server disconnect";
    setState(isOver ? "The connection was ended; reload to connect again." : "The connection is lost, connecting again…", "danger");
  });
  socket.on("connect_error", () => setState("No connection, trying again…", "danger"));
}

if (typeof io === "undefined") setState("The page's libraries are not there: it was built without them, and they cannot be had from the internet.", "danger");
else start(io());
