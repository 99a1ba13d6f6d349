// The markers of the switches on a chart. Switches that stand too close to each other share a marker.

/* exported groupSwitches, drawMarkers, SWITCH_STRIP, burstOf */

// CSS pixels: between two markers, and the height that a chart keeps free for them.
const MARKER_DISTANCE = 9;
const SWITCH_STRIP = 20;
const SHAPES = {
  more: [[-4, 4], [4, 4], [0, -4]],
  less: [[-4, -4], [4, -4], [0, 4]],
  both: [[-4, 0], [0, -5], [4, 0], [0, 5]],
};

/** Returns the percent to burst of weights such as 60/40. */
const burstOf = (weights) => Number(weights.split("/")[1]);
const directionOf = ({ from, to }) => (burstOf(to) > burstOf(from) ? "more" : "less");

/** Returns the markers in view, each with its place and its switches, in order. */
function groupSwitches(plot, switches) {
  const markers = [];
  const { min, max } = plot.scales.x;
  for (const one of switches) {
    if (one.second < min || one.second > max) continue;
    const left = plot.valToPos(one.second, "x");
    const last = markers.at(-1);
    if (last && left - last.left < MARKER_DISTANCE) last.switches.push(one);
    else markers.push({ left, switches: [one] });
  }
  return markers;
}

/** Draws the markers at the upper edge. */
function drawMarkers(brush, markers) {
  const { bbox } = brush.plot;
  const y = bbox.top + 8 * brush.scale;
  for (const { left, switches } of markers) {
    const x = bbox.left + left * brush.scale;
    const directions = new Set(switches.map(directionOf));
    brush.line([[x, bbox.top], [x, bbox.top + SWITCH_STRIP * brush.scale]], "--text", 1);
    brush.shape(x, y, SHAPES[directions.size > 1 ? "both" : [...directions][0]], "--text");
  }
}
