/** The HTTP exchange under every adapter: what it bounds, and what it knows of a request that failed. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Service } from "../src/http.ts";
import { serveFake } from "./fakes/server.ts";

async function tcp(handle: (socket: Socket) => void): Promise<{ url: string; port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    handle(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}` };
}

const service = (url: string): Service => new Service({ name: "test", url: new URL(url), headers: { authorization: "secret" }, secrets: ["secret"] });
const send = (url: string, more: object = {}): Promise<unknown> => service(url).send({ method: "POST", path: "/x", json: {}, ...more });

test("refused, no such host, TLS that fails: not dispatched", async () => {
  const { port, url } = await tcp((socket) => socket.end("not tls at all"));
  await expect(send("http://127.0.0.1:9")).rejects.toMatchObject({ dispatched: false, code: "ECONNREFUSED" });
  await expect(send("http://no-such-host.invalid")).rejects.toMatchObject({ dispatched: false });
  await expect(send(url.replace("http:", "https:"))).rejects.toMatchObject({ dispatched: false });
  expect(port).toBeGreaterThan(0);
});

test("TLS that never ends: not dispatched at the deadline", async () => {
  const { url } = await tcp(() => {});
  await expect(send(url.replace("http:", "https:"), { deadline: Date.now() + 150 })).rejects.toMatchObject({ dispatched: false, code: "TIMEOUT" });
});

test("reset after the connection stood, silence, half an answer: maybe dispatched", async () => {
  const reset = await tcp((socket) => socket.once("data", () => socket.resetAndDestroy()));
  await expect(send(reset.url)).rejects.toMatchObject({ dispatched: true });
  const closed = await tcp((socket) => socket.once("data", () => socket.end()));
  await expect(send(closed.url)).rejects.toMatchObject({ dispatched: true });
  const silent = await tcp(() => {});
  await expect(send(silent.url, { deadline: Date.now() + 150 })).rejects.toMatchObject({ dispatched: true, code: "TIMEOUT" });
  await expect(send(silent.url, { signal: AbortSignal.timeout(150) })).rejects.toMatchObject({ dispatched: true, code: "ABORTED" });
  const half = await tcp((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")));
  await expect(send(half.url)).rejects.toMatchObject({ dispatched: true, code: "TRUNCATED" });
  const chunked = await tcp((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe")));
  await expect(send(chunked.url)).rejects.toMatchObject({ dispatched: true, code: "TRUNCATED" });
  const garbage = await tcp((socket) => socket.once("data", () => socket.end("SSH-2.0\r\n\r\n")));
  await expect(send(garbage.url)).rejects.toMatchObject({ dispatched: true });
});

test("nothing leaves when nobody waits any more", async () => {
  const server = await serveFake(async () => ({ status: 200, body: "{}" }), () => false);
  onTestFinished(() => server.close());
  await expect(send(server.url, { signal: AbortSignal.abort() })).rejects.toMatchObject({ dispatched: false });
  await expect(send(server.url, { deadline: Date.now() - 1 })).rejects.toMatchObject({ dispatched: false });
  expect(server.asked).toEqual([]);
});

test("an endless answer is cut", async () => {
  const endless = await tcp((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const more = (): void => void (socket.destroyed || socket.write("x".repeat(65_536), more));
    more();
  });
  await expect(send(endless.url)).rejects.toMatchObject({ dispatched: true, code: "TOO_LARGE" });
});

test("a redirect is an answer: the key goes nowhere else", async () => {
  const other = await serveFake(async () => ({ status: 200, body: "{}" }), () => false);
  const redirecting = await tcp((socket) => socket.once("data", () => socket.end(`HTTP/1.1 307 Temporary Redirect\r\nlocation: ${other.url}\r\ncontent-length: 0\r\n\r\n`)));
  onTestFinished(() => other.close());
  expect(await send(redirecting.url)).toMatchObject({ status: 307 });
  expect(other.asked).toEqual([]);
});

test("slashes too many in the path do not name another host", async () => {
  const fake = await serveFake(async () => ({ status: 200, body: "{}" }), () => false);
  onTestFinished(() => fake.close());
  for (const path of ["//", "//evil.example/", "/base//"]) expect(await send(`${fake.url}${path}`)).toMatchObject({ status: 200 });
  expect(fake.asked).toHaveLength(3);
});

test("an answer that comes before the request was read counts", async () => {
  const early = await tcp((socket) => socket.end("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}"));
  expect(await send(early.url)).toMatchObject({ status: 401, text: "{}" });
});

test("closing ends what waits", async () => {
  const silent = await tcp(() => {});
  const one = service(silent.url);
  const waiting = one.send({ method: "GET", path: "/" });
  setTimeout(() => one.close(), 50);
  await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
});

test("words of a service are short, of one line, and without secrets", () => {
  const quoted = service("http://localhost").quote(`a secret\nb ${"ab".repeat(40)} lnbc${"q".repeat(60)} ${"long ".repeat(100)}`);
  expect(quoted).toMatch(/^a \[redacted\] b \[redacted\] \[invoice\] long/);
  expect(quoted.length).toBeLessThanOrEqual(200);
});
