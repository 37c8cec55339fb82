import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Answer } from "./answer.ts";

const MAX_BODY_BYTES = 16 * 1024 * 1024;

async function toRequest(incoming: IncomingMessage, signal: AbortSignal): Promise<Request> {
  const headers = new Headers();
  for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) headers.append(incoming.rawHeaders[i] as string, incoming.rawHeaders[i + 1] as string);
  const method = incoming.method ?? "GET";
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error("the request is too large");
    chunks.push(chunk);
  }
  const body = method === "GET" || method === "HEAD" || size === 0 ? {} : { body: Buffer.concat(chunks) };
  return new Request(`http://${incoming.headers.host ?? "127.0.0.1"}${incoming.url ?? "/"}`, { method, headers, signal, ...body });
}

async function write(answer: Answer, response: ServerResponse, head: boolean): Promise<void> {
  if (answer.drop === "before") {
    response.socket?.destroy();
    return;
  }
  const length = answer.body instanceof Uint8Array ? [["Content-Length", String(answer.body.length)] as const] : [];
  response.writeHead(answer.status, [...answer.headers, ...length].flat());
  if (head) {
    response.end();
    return;
  }
  if (answer.drop === "in-body") {
    const part = answer.body instanceof Uint8Array ? answer.body.subarray(0, answer.body.length >> 1) : new Uint8Array([32]);
    response.write(part, () => response.socket?.destroy());
    return;
  }
  if (answer.body instanceof Uint8Array) {
    response.end(answer.body);
    return;
  }
  response.flushHeaders();
  const reader = answer.body.getReader();
  const closed = once(response, "close");
  void closed.then(() => reader.cancel().catch(() => {}));
  for (;;) {
    const { done, value } = await reader.read();
    if (done || response.destroyed) break;
    if (!response.write(value)) await Promise.race([once(response, "drain"), closed]);
  }
  response.end();
}

/** A server that was started. */
export interface Serving {
  readonly url: string;
  /** Ends it and every connection. */
  close(): Promise<void>;
}

/** Serves `handle` on a free port of the loopback interface. */
export async function serve(handle: (request: Request) => Promise<Answer>): Promise<Serving> {
  const server: Server = createServer({ maxHeaderSize: 1024 * 1024 }, (incoming, response) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    response.on("error", () => {});
    toRequest(incoming, gone.signal)
      .then(handle)
      .then((answer) => write(answer, response, incoming.method === "HEAD"))
      .catch((error: unknown) => {
        if (response.headersSent || response.destroyed) response.destroy();
        else response.writeHead(500, { "Content-Type": "text/plain" }).end(`paywall: ${(error as Error).message}`);
      });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
