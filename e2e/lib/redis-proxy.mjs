// A proxy between a worker and a real redis-server. It records what passes, and can answer in place of Redis.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Returns where the RESP value that begins at `at` ends, or nothing if the value is not complete. */
function valueEnd(buffer, at) {
  const lineEnd = buffer.indexOf("\r\n", at);
  if (lineEnd < 0) return undefined;
  const kind = String.fromCharCode(buffer[at]);
  const count = Number(buffer.toString("latin1", at + 1, lineEnd));
  let end = lineEnd + 2;
  if ("$=!".includes(kind)) {
    if (count >= 0) end += count + 2;
    return end <= buffer.length ? end : undefined;
  }
  const items = { "*": count, "~": count, ">": count, "%": 2 * count }[kind] ?? 0;
  for (let item = 0; item < items; item += 1) {
    end = valueEnd(buffer, end);
    if (end === undefined) return undefined;
  }
  return end;
}

/** Calls `take` with each RESP value that a socket receives. */
function values(socket, take) {
  let rest = Buffer.alloc(0);
  socket.on("data", (data) => {
    rest = rest.length > 0 ? Buffer.concat([rest, data]) : data;
    let at = 0;
    for (let end = valueEnd(rest, at); end !== undefined; end = at < rest.length ? valueEnd(rest, at) : undefined) {
      take(rest.subarray(at, end));
      at = end;
    }
    rest = rest.subarray(at);
  });
}

/**
 * Returns the message of a PUBLISH, or nothing for another command. A worker tries whether it may publish by an empty message
 * in a transaction that it discards.
 */
function publishedMessage(command) {
  const [, , name, , , , message] = command.toString().split("\r\n");
  return name === "PUBLISH" && message !== "" ? message : undefined;
}

export class RedisProxy {
  /** How often the proxy passed each message on to Redis. */
  sent = new Map();
  /** The messages that Redis accepted. */
  taken = new Set();
  /** The error that answers each PUBLISH, if set; the proxy then passes none on. */
  refusal;

  /** The workers' connections. */
  clients = new Set();

  /** Listens on a port, and passes everything on to another port of this machine. */
  static async start(port, to, host = "127.0.0.1") {
    const proxy = new RedisProxy();
    proxy.server = createServer((client) => proxy.#serve(client, connect(to, "127.0.0.1"))).listen(port, host);
    await once(proxy.server, "listening");
    return proxy;
  }

  #serve(client, upstream) {
    this.clients.add(client);
    client.on("close", () => this.clients.delete(client));
    // The commands without an answer yet, in order: a message that was passed on, or the proxy's own answer.
    const waiting = [];
    const sendOwnAnswers = () => {
      while (waiting.length > 0 && waiting[0].answer) client.write(waiting.shift().answer);
    };
    values(client, (command) => {
      const message = publishedMessage(command);
      if (message !== undefined && this.refusal) {
        waiting.push({ answer: `-${this.refusal}\r\n` });
        sendOwnAnswers();
        return;
      }
      if (message !== undefined) this.sent.set(message, (this.sent.get(message) ?? 0) + 1);
      waiting.push({ message });
      upstream.write(command);
    });
    values(upstream, (reply) => {
      if (reply[0] !== 0x3e) {
        const { message } = waiting.shift();
        if (message !== undefined && reply[0] === 0x3a) this.taken.add(message);
      }
      client.write(reply);
      sendOwnAnswers();
    });
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
  }

  async stop() {
    this.server.close();
    for (const client of this.clients) client.destroy();
  }
}
