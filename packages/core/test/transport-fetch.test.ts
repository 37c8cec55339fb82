import { text } from "node:stream/consumers";
import type { IncomingMessage } from "node:http";
import { Headers as UndiciHeaders } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import { guardedFetch } from "../src/transport/index.ts";
import { httpServer, rawServer } from "./transport-servers.ts";

function open(...hosts: string[]): ReturnType<typeof guardedFetch> {
  const fetch = guardedFetch({ allowHosts: hosts });
  onTestFinished(() => fetch.close());
  return fetch;
}

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

/** Answers with what it got. */
async function mirror(): Promise<{ host: string; url: string; see(response: Promise<Response>): Promise<Seen> }> {
  const server = await httpServer(async (request, response) => {
    const body = await text(request);
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }));
  });
  return { ...server, see: async (response) => (await (await response).json()) as Seen };
}

describe("the request", () => {
  test("may be text, bytes, a blob, a form, parameters, a stream, or a Request", async () => {
    const server = await mirror();
    const fetch = open(server.host);
    const post = (body: RequestInit["body"], more: object = {}): Promise<Seen> => server.see(fetch(server.url, { method: "post", body: body ?? null, ...more }));
    const form = new FormData();
    form.set("field", "value");
    expect(await post("text")).toMatchObject({ method: "POST", body: "text", headers: { "content-length": "4" } });
    expect(await post(new TextEncoder().encode("bytes"))).toMatchObject({ body: "bytes", headers: { "content-length": "5" } });
    expect(await post(new TextEncoder().encode("buffer").buffer)).toMatchObject({ body: "buffer" });
    expect(await post(new Blob(["blob"], { type: "text/x" }))).toMatchObject({ body: "blob", headers: { "content-type": "text/x" } });
    expect(await post(new URLSearchParams({ a: "b c" }))).toMatchObject({ body: "a=b+c", headers: { "content-type": expect.stringContaining("urlencoded") } });
    expect(await post(form)).toMatchObject({ body: expect.stringContaining('name="field"'), headers: { "content-type": expect.stringContaining("boundary=") } });
    expect(await post(new Blob(["stream"]).stream(), { duplex: "half" })).toMatchObject({ body: "stream" });
    const request = new Request(`${server.url}r`, { method: "PUT", body: "request", headers: { "x-a": "1" } });
    expect(await server.see(fetch(request))).toMatchObject({ method: "PUT", url: "/r", body: "request", headers: { "x-a": "1" } });
    const over = new Request(server.url, { method: "POST", body: "mine", headers: { "x-a": "1" } });
    expect(await server.see(fetch(over, { body: "yours", headers: { "x-b": "2" } }))).toMatchObject({ method: "POST", body: "yours", headers: { "x-b": "2" } });
    expect(await server.see(fetch(new URL(server.url)))).toMatchObject({ method: "GET", body: "" });
  });

  test("takes headers in every form, and keeps those to itself that frame the message", async () => {
    const server = await mirror();
    const fetch = open(server.host);
    const forms = [{ "x-a": "1", authorization: "L402 a:b" }, [["x-a", "1"], ["authorization", "L402 a:b"]], new Headers({ "x-a": "1", authorization: "L402 a:b" })];
    for (const headers of [...forms, new UndiciHeaders({ "x-a": "1", authorization: "L402 a:b" })]) {
      expect((await server.see(fetch(server.url, { headers: headers as RequestInit["headers"] & object }))).headers).toMatchObject({ "x-a": "1", authorization: "L402 a:b" });
    }
    const { headers } = await server.see(fetch(server.url, { headers: { host: "other.example.com", "proxy-authorization": "x", te: "trailers", expect: "100-continue" } }));
    expect(headers).toMatchObject({ host: server.host });
    for (const name of ["proxy-authorization", "te", "expect"]) expect(headers).not.toHaveProperty(name);
  });
});

describe("the response", () => {
  test("is one of the platform's own, with its URL, status and headers", async () => {
    const server = await httpServer((_request, response) => {
      response.writeHead(201, "Made", [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-a", "1"]].flat()).end('{"a":1}');
    });
    const response = await open(server.host)(`${server.url}path#fragment`);
    expect(response).toBeInstanceOf(globalThis.Response);
    expect(response).toMatchObject({ status: 201, statusText: "Made", ok: true, redirected: false, url: `${server.url}path` });
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    const copy = response.clone();
    expect(copy.url).toBe(response.url);
    expect(copy.clone().url).toBe(response.url);
    expect([await response.json(), await copy.json()]).toEqual([{ a: 1 }, { a: 1 }]);
  });

  test.each([204, 205, 304])("of status %i has no body", async (status) => {
    const server = await httpServer((_request, response) => response.writeHead(status).end());
    const response = await open(server.host)(server.url);
    expect([response.status, response.body]).toEqual([status, null]);
  });

  test("to HEAD has no body", async () => {
    const server = await httpServer((_request, response) => response.writeHead(200, { "content-length": "5" }).end());
    expect(await (await open(server.host)(server.url, { method: "HEAD" })).text()).toBe("");
  });

  test.each(["HTTP/1.1 999 No\r\n\r\n", "HTTP/1.1 600 No\r\ncontent-length: 0\r\n\r\n"])("%j is a transport_failed", async (head) => {
    const server = await rawServer((socket) => socket.end(head));
    await expect(open(server.host)(server.url)).rejects.toMatchObject({ code: "transport_failed" });
  });

  test.each(["not http", "HTTP/1.1 abc\r\n\r\n", ""])("%j rejects as with fetch", async (head) => {
    const server = await rawServer((socket) => socket.end(head));
    await expect(open(server.host)(server.url)).rejects.toThrow(TypeError);
  });
});

describe("redirects", () => {
  test.each([
    [301, "POST", "GET"], [302, "POST", "GET"], [303, "POST", "GET"], [303, "PUT", "GET"], [303, "HEAD", "HEAD"], [301, "PUT", "PUT"], [307, "POST", "POST"], [308, "PUT", "PUT"],
  ])("%i of %s asks with %s", async (status, method, then) => {
    const seen: string[] = [];
    const server = await httpServer(async (request, response) => {
      seen.push(`${request.method} ${request.url} ${await text(request)}`);
      if (request.url === "/") response.writeHead(status, { location: "next" }).end("body");
      else response.end("there");
    });
    const response = await open(server.host)(server.url, { method, ...(method === "HEAD" ? {} : { body: "b" }) });
    expect(response).toMatchObject({ status: 200, redirected: true, url: `${server.url}next` });
    expect(seen[1]).toBe(`${then} /next ${then === method && method !== "HEAD" ? "b" : ""}`);
  });

  test("are at most 5", async () => {
    const server = await httpServer((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end("there");
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });
    const fetch = open(server.host);
    expect(await (await fetch(`${server.url}5`)).text()).toBe("there");
    await expect(fetch(`${server.url}6`)).rejects.toMatchObject({ code: "transport_limit" });
  });

  test("to another origin take no header along that may be a credential", async () => {
    const other = await mirror();
    const server = await httpServer((_request, response) => response.writeHead(307, { location: other.url }).end());
    const headers = { authorization: "L402 a:b", cookie: "c", "x-api-key": "k", "payment-signature": "p", accept: "text/x", "content-type": "text/y" };
    const seen = await other.see(open(server.host, other.host)(server.url, { method: "POST", body: "b", headers }));
    expect(seen).toMatchObject({ method: "POST", body: "b", headers: { accept: "text/x", "content-type": "text/y" } });
    for (const name of ["authorization", "cookie", "x-api-key", "payment-signature"]) expect(seen.headers).not.toHaveProperty(name);
  });

  test("within the origin keep them", async () => {
    const server = await httpServer((request, response) => {
      if (request.url === "/") response.writeHead(302, { location: "/next" }).end();
      else response.end(request.headers.authorization);
    });
    expect(await (await open(server.host)(server.url, { headers: { authorization: "L402 a:b" } })).text()).toBe("L402 a:b");
  });

  test("are handed back with manual, refused with error, and not made up from other statuses", async () => {
    const server = await httpServer((request, response) => response.writeHead(Number(request.url?.slice(1)), { location: "/200" }).end("body"));
    const fetch = open(server.host);
    const response = await fetch(`${server.url}302`, { redirect: "manual" });
    expect([response.status, response.headers.get("location"), await response.text()]).toEqual([302, "/200", "body"]);
    await expect(fetch(`${server.url}302`, { redirect: "error" })).rejects.toMatchObject({ code: "transport_failed" });
    for (const status of [200, 201, 300, 402, 404]) expect((await fetch(`${server.url}${status}`)).status).toBe(status);
  });

  test("cannot send a stream again", async () => {
    const server = await httpServer((_request, response) => response.writeHead(307, { location: "/next" }).end());
    const init = { method: "POST", body: new Blob(["x"]).stream(), duplex: "half" } as RequestInit;
    await expect(open(server.host)(server.url, init)).rejects.toMatchObject({ code: "transport_failed" });
  });
});
