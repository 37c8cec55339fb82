/** The request side over real sockets: whatever `fetch` takes arrives twice, unchanged. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { L402Client, receiptOf } from "@l402-tools/core";
import { createLightning, createPaywall, type Paywall, type SimWallet } from "@l402-tools/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { failure } from "./harness.ts";

let paywall: Paywall;
let wallet: SimWallet;
const lightning = createLightning({ seed: "request" });

beforeAll(async () => {
  wallet = lightning.wallet({ balanceSats: 1_000_000 });
  paywall = await createPaywall({
    lightning,
    credential: "single-use",
    routes: {
      "/echo": { priceSats: 1, handler: async (request: Request) => ({ method: request.method, type: request.headers.get("content-type"), body: Buffer.from(await request.arrayBuffer()).toString("base64") }) },
      "/free": { handler: async (request: Request) => ({ method: request.method, body: await request.text() }) },
    },
  });
});
afterAll(() => paywall.close());

const client = () => new L402Client({ wallet, network: "regtest", budgetSats: 10_000 });
const bytes = new TextEncoder().encode("body");
const base64 = Buffer.from("body").toString("base64");
const stream = () => new ReadableStream<Uint8Array>({ start: (controller) => (controller.enqueue(bytes.slice(0, 2)), controller.enqueue(bytes.slice(2)), controller.close()) });
async function* generate(): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describe("bodies", () => {
  test.each<[string, () => unknown, string | null]>([
    ["a string", () => "body", "text/plain;charset=UTF-8"],
    ["bytes", () => bytes, null],
    ["a buffer", () => bytes.buffer.slice(0), null],
    ["a part of a buffer", () => new Uint8Array(new TextEncoder().encode("xbodyx").buffer, 1, 4), null],
    ["a blob", () => new Blob(["body"], { type: "text/x-blob" }), "text/x-blob"],
    ["form fields", () => new URLSearchParams("body"), "application/x-www-form-urlencoded;charset=UTF-8"],
    ["a stream", stream, null],
    ["an async iterable", generate, null],
  ])("%s is sent again with the payment", async (_, body, type) => {
    const response = await client().fetch(`${paywall.url}/echo`, { method: "POST", body: body() as never, duplex: "half" } as RequestInit);
    expect(await response.json()).toEqual({ method: "POST", type, body: _ === "form fields" ? Buffer.from("body=").toString("base64") : base64 });
    expect(receiptOf(response)).toMatchObject({ paidSats: 1 });
  });

  test("a form is sent with one boundary", async () => {
    const form = new FormData();
    form.set("a", "1");
    form.set("file", new Blob(["content"]), "name.txt");
    const echoed = (await (await client().fetch(`${paywall.url}/echo`, { method: "POST", body: form })).json()) as { type: string; body: string };
    const parsed = await new Response(Buffer.from(echoed.body, "base64"), { headers: { "content-type": echoed.type } }).formData();
    expect(parsed.get("a")).toBe("1");
    expect(await (parsed.get("file") as File).text()).toBe("content");
  });

  test("a Request is taken as it is, and used up as fetch does", async () => {
    const request = new Request(`${paywall.url}/echo`, { method: "PUT", body: "body", headers: { "content-type": "text/x" } });
    expect(await (await client().fetch(request)).json()).toEqual({ method: "PUT", type: "text/x", body: base64 });
    expect(request.bodyUsed).toBe(true);
    const changed = await client().fetch(new Request(`${paywall.url}/echo`, { method: "POST", body: "x" }), { method: "PATCH", body: "body" });
    expect(await changed.json()).toMatchObject({ method: "PATCH", body: base64 });
    expect((await client().fetch(new URL(`${paywall.url}/free`))).status).toBe(200);
  });

  test("a body that is too large to keep is refused before anything is sent", async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)) });
    const error = await failure(new L402Client({ wallet, fetch: async () => ((sent += 1), new Response()) }).fetch("https://api.example.com/", { method: "POST", body: endless, duplex: "half" } as RequestInit));
    expect(error).toMatchObject({ name: "TransportError", code: "transport_limit", paid: "no" });
    expect(sent).toBe(0);
  });
});

describe("a drop-in for fetch", () => {
  test("the caller's init is not changed", async () => {
    const headers = new Headers({ "x-mine": "1" });
    const init = Object.freeze({ method: "POST", body: "body", headers, idempotencyKey: "frozen" });
    await client().fetch(`${paywall.url}/echo`, init);
    expect([...headers]).toEqual([["x-mine", "1"]]);
  });

  test("the method can be taken off the client", async () => {
    const { fetch } = client();
    expect((await fetch(`${paywall.url}/free`)).status).toBe(200);
  });

  test("responses stream through untouched", async () => {
    let finish = (): void => {};
    const server = createServer((_, response) => {
      response.write("first");
      finish = () => response.end("second");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const response = await client().fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("first");
    finish();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("second");
    server.close();
    server.closeAllConnections();
  });

  test("errors of fetch come through before a payment", async () => {
    await expect(client().fetch("not a url")).rejects.toBeInstanceOf(TypeError);
    await expect(client().fetch(`${paywall.url}/free`, { body: "x" })).rejects.toBeInstanceOf(TypeError);
    await expect(client().fetch("http://127.0.0.1:1/")).rejects.toMatchObject({ name: "TypeError" });
    const reason = new Error("stop");
    await expect(client().fetch(`${paywall.url}/free`, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await (await client().fetch("data:text/plain,hello")).text()).toBe("hello");
  });

  test("redirects: methods, bodies and headers as the Fetch standard says, secrets only to their own origin", async () => {
    const seen: { method: string; url: string; headers: IncomingMessage["headers"]; body: string }[] = [];
    const listen = async (answer: (request: IncomingMessage) => [number, string | undefined]) => {
      const server = createServer((request, response) => {
        let body = "";
        request.on("data", (chunk) => (body += chunk)).on("end", () => {
          seen.push({ method: request.method as string, url: request.url as string, headers: request.headers, body });
          const [status, location] = answer(request);
          response.writeHead(status, location === undefined ? {} : { location }).end("ok");
        });
      }).listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    };
    const target = await listen(() => [200, undefined]);
    const first = await listen((request) => (request.url === "/here" ? [200, undefined] : [Number(request.url?.slice(1, 4)), request.url?.endsWith("here") ? "/here" : `${target.url}/there`]));
    const post = { method: "POST", body: "body", headers: { authorization: "Bearer s", cookie: "s=1", "x-api-key": "s", accept: "x/y" } };
    for (const [path, method, body] of [["/301", "GET", ""], ["/302", "GET", ""], ["/303", "GET", ""], ["/307", "POST", "body"], ["/308", "POST", "body"]] as const) {
      seen.length = 0;
      await (await client().fetch(first.url + path, post)).text();
      expect(seen[1]).toMatchObject({ method, body, url: "/there", headers: { accept: "x/y" } });
      for (const secret of ["authorization", "cookie", "x-api-key"]) expect(seen[1]?.headers[secret]).toBeUndefined();
    }
    seen.length = 0;
    await (await client().fetch(`${first.url}/307-here`, post)).text();
    expect(seen[1]?.headers).toMatchObject({ authorization: "Bearer s", "x-api-key": "s" });
    expect((await client().fetch(`${first.url}/302`, { redirect: "manual" })).status).toBe(302);
    await expect(client().fetch(`${first.url}/302`, { redirect: "error" })).rejects.toBeInstanceOf(TypeError);
    for (const { server } of [target, first]) {
      server.close();
      server.closeAllConnections();
    }
  });
});
