/** A TCP relay in front of a node, which can lose an answer or keep a request back. It carries TLS as it is. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface Relay {
  /** The node's URL through the relay. */
  readonly url: string;
  /**
   * What happens to connections from now on. `lose-answers`: what the node says after the handshake does not arrive.
   * `keep-requests`: what the client says after its hello does not arrive before `deliver`.
   */
  mode: "pass" | "lose-answers" | "keep-requests";
  /** Requests that are kept back. */
  readonly kept: number;
  /** Hands over what was kept back, also if its sender has gone. */
  deliver(): void;
  /** Breaks the client's side of every connection. */
  cut(): void;
}

export async function relay(target: string, host = "127.0.0.1"): Promise<Relay> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const kept: { node: Socket; parts: Buffer[] }[] = [];
  const server = createServer((client) => {
    const { mode } = result;
    const node = connect(Number(port), hostname);
    const keeping = { node, parts: [] as Buffer[] };
    let hellos = 0;
    for (const socket of [client, node]) {
      sockets.add(socket);
      socket.on("error", () => {}).once("close", () => sockets.delete(socket));
    }
    clients.add(client);
    client.on("data", (part: Buffer) => {
      hellos += 1;
      if (mode !== "keep-requests" || hellos === 1) return void node.write(part);
      if (keeping.parts.length === 0) kept.push(keeping);
      keeping.parts.push(part);
    });
    // After the client's second flight the handshake is over.
    node.on("data", (part: Buffer) => void (mode === "lose-answers" && hellos > 1 ? undefined : client.write(part)));
    node.once("close", () => client.destroy());
    client.once("close", () => {
      clients.delete(client);
      // A request that is under way goes on without its sender.
      if (mode === "pass") node.destroy();
    });
  });
  const result: Relay & { mode: Relay["mode"] } = {
    url: "",
    mode: "pass",
    get kept() {
      return kept.length;
    },
    deliver() {
      for (const { node, parts } of kept.splice(0)) node.write(Buffer.concat(parts));
    },
    cut() {
      for (const client of clients) client.destroy();
    },
  };
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return Object.assign(result, { url: `https://${host}:${(server.address() as { port: number }).port}` });
}
