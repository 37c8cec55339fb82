/** A loopback server that answers as a wallet's service does, and goes wrong on demand. */
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** `pieces`: written one by one, and the stream is left open when `open`. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
  readonly open?: boolean;
}

/**
 * What happens to a request that pays: `reset-before` is cut before the service has acted; the others strike after it
 * has.
 */
export type Fault = "reset-before" | "reset-after" | "silence" | "late" | "truncated" | "wrong-json" | "no-json" | "empty";

export interface FakeServer {
  readonly url: string;
  readonly asked: readonly Asked[];
  /** Strikes at every request that pays, until it is taken away. */
  fault: Fault | undefined;
  /** An answer in place of the service's own, for the next request that pays; the service does not act. */
  next: Answer | undefined;
  /** Changes the service's own answers to requests that pay. */
  garble: ((answer: Answer) => Answer) | undefined;
  offline(cut: boolean): Promise<void>;
  close(): Promise<void>;
}

export const json = (status: number, value: unknown): Answer => ({ status, body: JSON.stringify(value) });
export const text = (status: number, body: string): Answer => ({ status, body, type: "text/plain" });

export async function serveFake(
  handle: (asked: Asked) => Promise<Answer>,
  isPay: (asked: Asked) => boolean,
  tls?: { key: string; cert: string },
): Promise<FakeServer> {
  const asked: Asked[] = [];
  const late: ServerResponse[] = [];
  const sockets = new Set<Socket>();
  const respond = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const url = new URL(incoming.url ?? "/", "http://fake");
    const one: Asked = { method: incoming.method ?? "", path: url.pathname, query: url.searchParams, headers: incoming.headers, body: Buffer.concat(chunks).toString() };
    asked.push(one);
    const cut = (): void => void (incoming.socket as Socket & { resetAndDestroy(): void }).resetAndDestroy();
    const fault = isPay(one) ? fake.fault : undefined;
    if (fault === "reset-before") return cut();
    if (isPay(one) && fake.next !== undefined) {
      const next = fake.next;
      fake.next = undefined;
      return write(response, next);
    }
    const given = await handle(one);
    const answer = isPay(one) ? (fake.garble?.(given) ?? given) : given;
    switch (fault) {
      case undefined:
        return write(response, answer);
      case "reset-after":
        return cut();
      case "silence":
        return;
      case "late":
        late.push(response);
        setTimeout(() => write(response, answer), 700);
        return;
      case "truncated":
        response.writeHead(answer.status, { "content-type": "application/json", "content-length": Buffer.byteLength(answer.body) });
        response.write(answer.body.slice(0, answer.body.length >> 1), () => response.socket?.destroy());
        return;
      case "wrong-json":
        return write(response, { ...answer, body: '{"unexpected":[true]}' });
      case "no-json":
        return write(response, { status: answer.status, body: "<html>it is done</html>", type: "text/html" });
      case "empty":
        return write(response, { ...answer, body: "" });
    }
  };
  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    response.on("error", () => {});
    respond(incoming, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(599).end(String(error));
    });
  };
  let server: Server;
  let port = 0;
  const open = async (): Promise<void> => {
    server = tls === undefined ? createHttpServer(listener) : createHttpsServer(tls, listener);
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  };
  const shut = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await open();
  const fake: FakeServer = {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    asked,
    fault: undefined,
    next: undefined,
    garble: undefined,
    offline: (cut) => (cut ? shut() : open()),
    close: async () => {
      if (server.listening) await shut();
    },
  };
  return fake;
}

function write(response: ServerResponse, answer: Answer): void {
  if (response.destroyed) return;
  response.writeHead(answer.status, { "content-type": answer.type ?? "application/json" });
  if (answer.open === true) response.write(answer.body);
  else response.end(answer.body);
}
