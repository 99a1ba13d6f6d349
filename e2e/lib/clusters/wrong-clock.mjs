// A proxy before Prometheus that moves the times in its answers: a Prometheus whose clock is wrong. The last number on its
// input is by how many seconds. (A clock cannot be set for one process alone.) It prints its port, and ends with its input.

import { createServer } from "node:http";
import { createInterface } from "node:readline";

const [prometheus] = process.argv.slice(2);
let seconds = 0;

/** Moves each time in an answer. A time is the first of a pair, and the second is a value as text. */
function moved(part) {
  if (Array.isArray(part)) {
    const [first, second] = part;
    return part.length === 2 && typeof first === "number" && typeof second === "string" ? [first + seconds, second] : part.map(moved);
  }
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, moved(value)]));
}

const server = createServer(async (request, response) => {
  try {
    const answer = await fetch(prometheus + request.url, { signal: AbortSignal.timeout(5000) });
    const body = moved(await answer.json());
    response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(body));
  } catch (error) {
    response.writeHead(502).end(String(error));
  }
});
server.listen(0, () => process.stdout.write(`${server.address().port}\n`));
createInterface({ input: process.stdin })
  .on("line", (line) => { seconds = Number(line); })
  .on("close", () => process.exit());
