import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { guardedFetch, type GuardedFetchOptions } from "../src/transport/index.ts";
import { httpServer, rawServer } from "./transport-servers.ts";

const LIMIT = { name: "TransportError", code: "transport_limit", paid: "no" };
const MIB = 1024 * 1024;
const brotli = (body: Buffer): Buffer => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });

function open(host: string, options: GuardedFetchOptions = {}): ReturnType<typeof guardedFetch> {
  const fetch = guardedFetch({ allowHosts: [host], ...options });
  onTestFinished(() => fetch.close());
  return fetch;
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

/** A server that answers with `handler`, and a promise that its connection was closed. */
async function closing(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<{ host: string; url: string; closed: Promise<void> }> {
  const { promise, resolve } = deferred();
  const server = await httpServer((request, response) => {
    request.socket.once("close", resolve);
    handler(request, response);
  });
  return { ...server, closed: promise };
}

/** Writes for as long as someone reads. */
function endless(response: ServerResponse, chunk: Buffer): void {
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", more);
  more();
}

describe("the body", () => {
  test("may have exactly maxBodyBytes", async () => {
    const server = await httpServer((request, response) => response.end(Buffer.alloc(Number(request.url?.slice(1)))));
    const fetch = open(server.host, { maxBodyBytes: 100_000 });
    expect((await (await fetch(`${server.url}100000`)).arrayBuffer()).byteLength).toBe(100_000);
    await expect((await fetch(`${server.url}100001`)).arrayBuffer()).rejects.toMatchObject(LIMIT);
    expect((await (await open(server.host, { maxBodyBytes: 0 })(`${server.url}0`)).arrayBuffer()).byteLength).toBe(0);
  });

  test("that never ends is cut, and the connection with it", async () => {
    const server = await closing((_request, response) => endless(response, Buffer.alloc(16_384, "x")));
    const response = await open(server.host, { maxBodyBytes: MIB })(server.url);
    await expect(response.text()).rejects.toMatchObject(LIMIT);
    await server.closed;
  });

  test.each([
    ["gzip", gzipSync], ["br", brotli], ["deflate", deflateSync], ["zstd", zstdCompressSync], ["GZIP", gzipSync], ["x-gzip", gzipSync],
  ])("is counted after decompression: a %s bomb is cut", async (coding, compress) => {
    const bomb = compress(Buffer.alloc(16 * MIB));
    expect(bomb.length).toBeLessThan(MIB);
    const server = await httpServer((_request, response) => response.writeHead(200, { "content-encoding": coding }).end(bomb));
    const response = await open(server.host, { maxBodyBytes: MIB })(server.url);
    let bytes = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of response.body ?? []) bytes += chunk.byteLength;
    };
    await expect(read()).rejects.toMatchObject(LIMIT);
    expect(bytes).toBeLessThanOrEqual(MIB);
  });

  test("that decompresses to nothing, for ever, is cut by its bytes on the wire", async () => {
    const server = await closing((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" });
      response.write(gzipSync("").subarray(0, 10));
      endless(response, Buffer.from("000000ffff".repeat(2000), "hex")); // empty stored blocks
    });
    await expect((await open(server.host, { maxBodyBytes: MIB })(server.url)).text()).rejects.toMatchObject(LIMIT);
    await server.closed;
  });

  test("that is compressed twice is refused", async () => {
    const server = await httpServer((_request, response) => response.writeHead(200, { "content-encoding": "gzip, gzip" }).end(gzipSync(gzipSync("x"))));
    await expect(open(server.host)(server.url)).rejects.toMatchObject(LIMIT);
  });

  test("of a 402 gets 64 KiB, compressed or not", async () => {
    const server = await httpServer((request, response) => {
      const body = Buffer.alloc(Number(request.url?.slice(2)), "x");
      if (request.url?.[1] === "z") response.writeHead(402, { "content-encoding": "gzip" }).end(gzipSync(body));
      else response.writeHead(402).end(body);
    });
    const fetch = open(server.host);
    for (const form of ["p", "z"]) {
      expect((await (await fetch(`${server.url}${form}65536`)).text()).length).toBe(65_536);
      await expect((await fetch(`${server.url}${form}65537`)).text()).rejects.toMatchObject(LIMIT);
    }
    await expect((await open(server.host, { maxBodyBytes: 10 })(`${server.url}p11`)).text()).rejects.toMatchObject(LIMIT);
  });

  test("streams through: the first chunk is there before the second was sent", async () => {
    let more = (): void => {};
    const server = await httpServer((_request, response) => {
      response.write("first");
      more = () => response.end("second");
    });
    const reader = (await open(server.host)(server.url)).body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("first");
    more();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("second");
    expect((await reader?.read())?.done).toBe(true);
  });

  test("that is cancelled ends the connection", async () => {
    const server = await closing((_request, response) => endless(response, Buffer.alloc(16_384, "x")));
    await (await open(server.host)(server.url)).body?.cancel();
    await server.closed;
  });

  test("that breaks off rejects as it does with fetch", async () => {
    const server = await rawServer((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"));
    await expect((await open(server.host)(server.url)).text()).rejects.toThrow(TypeError);
  });
});

describe("the headers", () => {
  test.each([
    ["one huge value", `x: ${"a".repeat(20_000)}\r\n`],
    ["a huge challenge", `www-authenticate: L402 macaroon="${"a".repeat(20_000)}"\r\n`],
    ["many", "x: aaaaaaaaaaaaaaaa\r\n".repeat(2_000)],
    ["a huge name", `${"x".repeat(20_000)}: a\r\n`],
  ])("are bounded: %s", async (_what, headers) => {
    const server = await rawServer((socket) => socket.end(`HTTP/1.1 402 Payment Required\r\n${headers}content-length: 0\r\n\r\n`));
    await expect(open(server.host)(server.url)).rejects.toMatchObject(LIMIT);
  });

  test("that never end are cut", async () => {
    const server = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const more = (): void => {
        while (!socket.destroyed && socket.write("x: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"));
      };
      socket.on("drain", more);
      more();
    });
    await expect(open(server.host)(server.url)).rejects.toMatchObject(LIMIT);
  });

  test("of a trailer are bounded", async () => {
    const server = await rawServer((socket) => socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n${"t: aaaaaaaaaaaaaaaa\r\n".repeat(4_000)}\r\n`));
    await expect((await open(server.host)(server.url)).text()).rejects.toMatchObject(LIMIT);
  });

  test("may be bounded more tightly", async () => {
    const server = await httpServer((_request, response) => response.writeHead(200, { x: "a".repeat(2_000) }).end());
    expect((await open(server.host)(server.url)).ok).toBe(true);
    await expect(open(server.host, { maxHeaderBytes: 1_000 })(server.url)).rejects.toMatchObject(LIMIT);
  });
});

describe("time", () => {
  test.each<[string, (socket: Socket) => void]>([
    ["says nothing", () => {}],
    ["sends headers drop by drop", (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const drip = setInterval(() => socket.write("x: a\r\n"), 5);
      socket.on("close", () => clearInterval(drip));
    }],
    ["sends 103 for ever", (socket) => {
      const drip = setInterval(() => socket.write("HTTP/1.1 103 Early Hints\r\nx: a\r\n\r\n"), 5);
      socket.on("close", () => clearInterval(drip));
    }],
  ])("to the first byte is bounded for a server that %s", async (_what, handler) => {
    const { promise: closed, resolve } = deferred();
    const server = await rawServer((socket) => {
      socket.on("close", resolve);
      handler(socket);
    });
    await expect(open(server.host, { firstByteTimeoutMs: 100 })(server.url)).rejects.toMatchObject({ ...LIMIT, message: expect.stringContaining("firstByteTimeoutMs") });
    await closed;
  });

  test("to the first byte is bounded for a look-up that never ends", async () => {
    const fetch = open("localhost", { firstByteTimeoutMs: 50, lookup: () => new Promise(() => {}) });
    await expect(fetch("https://api.example.com/")).rejects.toMatchObject({ ...LIMIT, message: expect.stringContaining("firstByteTimeoutMs") });
  });

  test("between chunks is bounded", async () => {
    const server = await closing((_request, response) => response.write("x"));
    const response = await open(server.host, { idleTimeoutMs: 50 })(server.url);
    await expect(response.text()).rejects.toMatchObject({ ...LIMIT, message: expect.stringContaining("idleTimeoutMs") });
    await server.closed;
  });

  test.each([200, 402])("in all is bounded for a body that trickles, status %i", async (status) => {
    const server = await closing((_request, response) => {
      response.writeHead(status);
      const drip = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(drip));
    });
    const fetch = open(server.host, { totalTimeoutMs: 200 });
    const read = async (): Promise<string> => (await fetch(server.url)).text();
    await expect(read()).rejects.toMatchObject({ ...LIMIT, message: expect.stringContaining("totalTimeoutMs") });
    await server.closed;
  });

  test("in all is bounded for a body that nobody reads", async () => {
    const server = await closing((_request, response) => endless(response, Buffer.alloc(16_384)));
    const fetch = open(server.host, { totalTimeoutMs: 200 });
    const wait = async (): Promise<string> => {
      const response = await fetch(server.url);
      await server.closed;
      return response.text();
    };
    await expect(wait()).rejects.toMatchObject(LIMIT);
  });

  test("a slow reader is not a silent server", async () => {
    const server = await httpServer((_request, response) => response.end("x".repeat(10)));
    const response = await open(server.host, { idleTimeoutMs: 200 })(server.url);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await response.text()).toBe("x".repeat(10));
  });
});

describe("the caller's signal", () => {
  const reason = new Error("enough");

  test("rejects with its own reason, before, during and after the headers", async () => {
    const server = await closing((request, response) => {
      if (request.url === "/body") response.write("x");
    });
    const fetch = open(server.host);
    await expect(fetch(server.url, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const waiting = new AbortController();
    const pending = fetch(server.url, { signal: waiting.signal });
    setTimeout(() => waiting.abort(reason), 20);
    await expect(pending).rejects.toBe(reason);
    const reading = new AbortController();
    const response = await fetch(`${server.url}body`, { signal: reading.signal });
    setTimeout(() => reading.abort(reason), 20);
    await expect(response.text()).rejects.toBe(reason);
    await server.closed;
  });

  test("without a reason is an AbortError", async () => {
    const server = await httpServer(() => {});
    await expect(open(server.host)(server.url, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    await expect(open(server.host)(new Request(server.url, { signal: AbortSignal.timeout(10) }))).rejects.toMatchObject({ name: "TimeoutError" });
  });

  test("is let go of once the body was read", async () => {
    const server = await httpServer((_request, response) => response.end("x"));
    const fetch = open(server.host);
    const { signal } = new AbortController();
    let listening = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listening += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listening -= 1;
      remove(...args);
    };
    await (await fetch(server.url, { signal })).text();
    expect(listening).toBe(0);
  });
});
