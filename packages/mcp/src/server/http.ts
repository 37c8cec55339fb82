/** Streamable HTTP on loopback, for whoever has the token. */
import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from "@modelcontextprotocol/node";
import { bearerAuthChallengeResponse, createMcpHandler, isLegacyRequest, type McpServer, OAuthError, OAuthErrorCode, verifyBearerToken, WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";
import { SettingsError } from "./settings.ts";

export interface HttpServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface HttpOptions {
  readonly port: number;
  readonly token: string;
  readonly onerror: (error: Error) => void;
}

const ADDRESS = "127.0.0.1";
const PATH = "/mcp";
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;
/** Arguments and answers of a call are far smaller. */
const REQUEST_MAX_BYTES: number = 1024 * 1024;
/** Sessions of clients of 2025 that are kept open; the one that was quiet for longest goes first. */
const SESSIONS_MAX = 100;

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

function gate(token: string): (authorization: string | undefined) => Promise<Response | undefined> {
  const expected = digest(token);
  const verifier = {
    async verifyAccessToken(given: string) {
      if (!timingSafeEqual(digest(given), expected)) throw new OAuthError(OAuthErrorCode.InvalidToken, "This is not the token of this server");
      return { token: given, clientId: "local", scopes: [], expiresAt: Number.POSITIVE_INFINITY };
    },
  };
  return async (authorization) => {
    try {
      await verifyBearerToken(authorization, { verifier });
      return undefined;
    } catch (error) {
      return bearerAuthChallengeResponse(error);
    }
  };
}

/** Clients of 2025 hold a session, over which their user can be asked. Later ones bring all that is needed with each request. */
class Sessions {
  readonly #open = new Map<string, WebStandardStreamableHTTPServerTransport>();
  readonly #make: () => McpServer;

  constructor(make: () => McpServer) {
    this.#make = make;
  }

  async fetch(request: Request): Promise<Response> {
    const id = request.headers.get("mcp-session-id");
    if (id === null) return this.#begin(request);
    const transport = this.#open.get(id);
    if (transport === undefined) return Response.json({ jsonrpc: "2.0", error: { code: -32_001, message: "Session not found" }, id: null }, { status: 404 });
    this.#open.delete(id);
    this.#open.set(id, transport);
    const response = await transport.handleRequest(request);
    return request.method === "GET" ? begun(response, request.signal) : response;
  }

  async #begin(request: Request): Promise<Response> {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        for (const [oldest, quiet] of this.#open) {
          if (this.#open.size < SESSIONS_MAX) break;
          this.#open.delete(oldest);
          void quiet.close();
        }
        this.#open.set(id, transport);
      },
      onsessionclosed: (id) => void this.#open.delete(id),
    });
    await this.#make().connect(transport);
    return transport.handleRequest(request);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((transport) => transport.close()));
  }
}

/** A stream that says something at once, since its head is sent with its first bytes (clients skip a comment); and ends with its request. */
function begun(response: Response, signal: AbortSignal): Response {
  if (response.body === null || response.headers.get("content-type") !== "text/event-stream") return response;
  const comment = new TransformStream<Uint8Array, Uint8Array>({ start: (controller) => controller.enqueue(new TextEncoder().encode(":\n\n")) });
  return new Response(response.body.pipeThrough(comment, { signal }), response);
}

async function send(res: ServerResponse, response: Response): Promise<void> {
  res.writeHead(response.status, { ...Object.fromEntries(response.headers), connection: "close" });
  res.end(await response.text());
}

/** @throws {SettingsError} when the port cannot be had. */
export async function serveHttp(make: () => McpServer, { port, token, onerror }: HttpOptions): Promise<HttpServer> {
  const bounds = { maxRequestBodySize: REQUEST_MAX_BYTES };
  const modern = createMcpHandler(make, { legacy: "reject", onerror, ...bounds });
  const sessions = new Sessions(make);
  const handle = toNodeHandler({ fetch: async (request) => ((await isLegacyRequest(request, undefined, bounds)) ? sessions.fetch(request) : modern.fetch(request)) }, { onerror, ...bounds });
  const isOurHost = localhostHostValidation();
  const isOurOrigin = localhostOriginValidation();
  const refusalOf = gate(token);

  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    // What reads a URL out of it would take `evil@localhost` for localhost.
    if (!HOST.test(req.headers.host ?? "")) return send(res, new Response("This is no Host.\n", { status: 400 }));
    if (!isOurHost(req, res) || !isOurOrigin(req, res)) return;
    if (req.url?.split("?")[0] !== PATH) return send(res, new Response(`There is only ${PATH} here.\n`, { status: 404 }));
    const refusal = await refusalOf(req.headers.authorization);
    return refusal === undefined ? handle(req as IncomingMessage & { method: string; url: string }, res) : send(res, refusal);
  };
  const server = createServer((req, res) => {
    serve(req, res).catch((error: Error) => {
      onerror(error);
      res.destroy();
    });
  });
  server.listen({ host: ADDRESS, port });
  await once(server, "listening").catch(({ code }: { code?: string }) => {
    throw new SettingsError(`Port ${port} of ${ADDRESS} cannot be listened on (${code ?? "unknown"}): choose another with --port.`);
  });
  return {
    url: `http://${ADDRESS}:${(server.address() as AddressInfo).port}${PATH}`,
    async close() {
      server.close();
      await Promise.all([modern.close(), sessions.close()]);
      server.closeAllConnections();
    },
  };
}
