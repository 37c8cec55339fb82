import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { generate } from "selfsigned";
import { onTestFinished } from "vitest";
import type { OpenSocket } from "../src/transport/connector.ts";

async function listen(server: Server, host: string): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** A plain server on 127.0.0.1. */
export async function httpServer(handler: RequestListener): Promise<{ port: number; host: string; url: string }> {
  const port = await listen(createHttpServer(handler), "127.0.0.1");
  return { port, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/` };
}

/** A server that speaks whatever `handler` writes. */
export async function rawServer(handler: (socket: Socket) => void): Promise<{ port: number; host: string; url: string }> {
  const port = await listen(createTcpServer(handler), "127.0.0.1");
  return { port, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/` };
}

/** A TLS server with a certificate for `names`, and the authority to trust. */
export async function tlsServer(names: readonly string[], handler: RequestListener): Promise<{ port: number; ca: string }> {
  const pems = await generate([{ name: "commonName", value: names[0] ?? "localhost" }], {
    keyType: "ec",
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "subjectAltName", altNames: names.map((value) => ({ type: 2, value })) },
    ],
  });
  const port = await listen(createHttpsServer({ key: pems.private, cert: pems.cert }, handler), "127.0.0.1");
  return { port, ca: pems.cert };
}

/** Listens on every address of this machine and counts the connections, of whatever protocol. */
export async function canary(): Promise<{ port: number; readonly hits: number }> {
  const state = { port: 0, hits: 0 };
  state.port = await listen(
    createTcpServer((socket) => {
      state.hits += 1;
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nthe bird");
    }),
    "::",
  );
  return state;
}

/**
 * Stands in for the internet: every connection goes to `port` on loopback and claims to have reached `remoteAddress`, by
 * default the first address that the look-up gave.
 */
export function internetAt(port: number, remoteAddress?: string): OpenSocket & { opened: string[] } {
  const opened: string[] = [];
  const open: OpenSocket = async ({ hostname, lookup }) => {
    const addresses = await new Promise<string[]>((resolve, reject) => {
      lookup(hostname, { all: true }, (error, answer) => {
        if (error !== null) reject(error);
        else resolve((answer as { address: string }[]).map(({ address }) => address));
      });
    });
    opened.push(...addresses);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    Object.defineProperty(socket, "remoteAddress", { value: remoteAddress ?? addresses[0] });
    return socket;
  };
  return Object.assign(open, { opened });
}

/** Waits long enough for a connection that was begun to be counted: a later connection of ours has been. */
export async function settle(bird: { port: number; readonly hits: number }): Promise<number> {
  const before = bird.hits;
  const socket = connect(bird.port, "127.0.0.1");
  socket.resume();
  await once(socket, "close");
  return Math.max(before, bird.hits - 1);
}
