/** Every row of LND's answers, and what goes over the wire. */
import { generate } from "selfsigned";
import { describe, expect, test } from "vitest";
import { LndWallet } from "../src/lnd.ts";
import { fakeLnd, gatewayError, MACAROON, payment, streamError } from "./fakes/lnd.ts";
import { json, type Answer } from "./fakes/server.ts";
import { requestOf, setUp } from "./fakes/setup.ts";
import { createWorld } from "./fakes/world.ts";

const make = (url: string): LndWallet => new LndWallet({ url, macaroon: MACAROON });
const set = (): ReturnType<typeof setUp<Awaited<ReturnType<typeof fakeLnd>>, LndWallet>> => setUp(fakeLnd, make);
const lines = (...values: unknown[]): Answer => ({ status: 200, body: values.map((value) => `${JSON.stringify(value)}\n`).join("") });

test("sends what LND knows, and nothing else: a fee limit as an int64 in a string, no cancelling", async () => {
  const { wallet, server, request, invoice } = await set();
  await wallet.pay(request({ maxFeeMsat: 1_234n }));
  const [asked] = server.asked;
  expect(asked?.headers["grpc-metadata-macaroon"]).toBe(MACAROON);
  expect(JSON.parse(asked?.body ?? "")).toEqual({ payment_request: invoice.invoice, timeout_seconds: expect.any(Number), fee_limit_msat: "1234", no_inflight_updates: true });
});

test("preimage in hex, fee in msat, both from the stream's last line", async () => {
  const { wallet, server, request, invoice, preimage } = await set();
  server.next = lines({ result: payment({ paymentHash: invoice.paymentHash, status: "IN_FLIGHT" }) }, { result: payment({ paymentHash: invoice.paymentHash, status: "SUCCEEDED", preimage, feeMsat: 77n }) });
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage, feeMsat: 77n });
});

test("a stream that stays open after the last word is not waited for", async () => {
  const { wallet, server, request, invoice, preimage } = await set();
  server.next = { ...lines({ result: payment({ paymentHash: invoice.paymentHash, status: "SUCCEEDED", preimage }) }), open: true };
  expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage });
});

describe("failed: proof that nothing was paid", () => {
  test.each([
    ["FAILURE_REASON_TIMEOUT", "no_route"],
    ["FAILURE_REASON_NO_ROUTE", "no_route"],
    ["FAILURE_REASON_ERROR", "other"],
    ["FAILURE_REASON_INCORRECT_PAYMENT_DETAILS", "rejected_by_payee"],
    ["FAILURE_REASON_INSUFFICIENT_BALANCE", "insufficient_balance"],
    ["FAILURE_REASON_CANCELED", "other"],
  ])("FAILED with %s", async (failureReason, reason) => {
    const { wallet, server, request, invoice } = await set();
    server.next = lines({ result: payment({ paymentHash: invoice.paymentHash, status: "FAILED", reason: failureReason }) });
    expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
  });

  test.each<[string, Answer, string]>([
    ["the invoice has expired", streamError(500, 2, "invoice expired. Valid until 2026-01-01 00:00:00 +0000 UTC"), "invoice_expired"],
    ["amount given", streamError(500, 2, "amount must not be specified when paying a non-zero  amount invoice"), "invalid_invoice"],
    ["amount missing", streamError(500, 2, "amount must be specified when paying a zero amount invoice"), "invalid_invoice"],
    ["checksum", gatewayError(500, 2, "checksum failed. Expected qwerty, got asdfgh."), "invalid_invoice"],
    ["an invoice of its own", streamError(500, 2, "self-payments not allowed"), "self_payment"],
    ["another network", streamError(500, 2, "invoice not for current active network 'mainnet'"), "invalid_invoice"],
    ["not started", streamError(500, 2, "waiting to start, RPC services not available"), "unreachable"],
    ["locked", streamError(500, 2, "wallet locked, unlock it to enable full RPC access"), "unreachable"],
    ["without a wallet", streamError(500, 2, "wallet not created, create one to enable full RPC access"), "unreachable"],
    ["starting", streamError(500, 2, "the RPC server is in the process of starting up, but not yet ready to accept calls"), "unreachable"],
    ["unknown field", gatewayError(400, 3, 'proto: (line 1:2): unknown field "fee_limit"'), "unsupported"],
    ["permission denied", streamError(500, 2, "permission denied"), "unauthorized"],
    ["permission denied, gRPC's own", streamError(403, 7, "permission denied"), "unauthorized"],
    ["bad macaroon", gatewayError(500, 2, "verification failed: signature mismatch after caveat verification"), "unauthorized"],
    ["no macaroon", gatewayError(500, 2, "expected 1 macaroon, got 0"), "unauthorized"],
    ["HTTP 401", gatewayError(401, 16, "unauthenticated"), "unauthorized"],
    ["not LND at all", { status: 404, body: "404 page not found", type: "text/plain" }, "unsupported"],
    ["wrong method", json(405, {}), "unsupported"],
  ])("%s", async (_, answer, reason) => {
    const { wallet, server, request } = await set();
    server.next = answer;
    expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
  });
});

describe("in flight", () => {
  test.each<[string, Answer]>([
    ["409, in transition", streamError(409, 6, "payment is in transition")],
    ["409, initiated", streamError(409, 6, "payment already exists")],
    ["409, of the gateway", gatewayError(409, 6, "payment is in transition")],
  ])("%s", async (_, answer) => {
    const { wallet, server, request } = await set();
    server.next = answer;
    expect(await wallet.pay(request())).toEqual({ status: "in_flight" });
  });

  test.each(["IN_FLIGHT", "INITIATED"])("the stream ends with %s, even with a failure reason", async (status) => {
    const { wallet, server, request, invoice } = await set();
    server.next = lines({ result: payment({ paymentHash: invoice.paymentHash, status, reason: "FAILURE_REASON_TIMEOUT" }) });
    expect(await wallet.pay(request())).toEqual({ status: "in_flight" });
  });

  test("the deadline passes while LND is at it", async () => {
    const { wallet, server, request, invoice } = await set();
    server.next = { ...lines({ result: payment({ paymentHash: invoice.paymentHash, status: "IN_FLIGHT" }) }), open: true };
    expect(await wallet.pay(request({ deadline: Date.now() + 200 }))).toEqual({ status: "in_flight" });
  });
});

describe("unknown: proves nothing", () => {
  test.each<[string, Answer]>([
    ["500 with other words", streamError(500, 2, "context deadline exceeded")],
    ["an error after updates", lines({ result: { status: "UNKNOWN" } }, { error: { code: 2, message: "invoice expired" } })],
    ["locked, after updates", lines({ result: { status: "UNKNOWN" } }, { error: { code: 2, message: "wallet locked, unlock it to enable full RPC access" } })],
    ["shutting down", streamError(500, 2, "routerrpc server shutting down")],
    ["502", { status: 502, body: "<html>Bad Gateway</html>" }],
    ["503 unavailable", gatewayError(503, 14, "connection error")],
    ["429", json(429, {})],
    ["408", json(408, {})],
    ["deprecated status", lines({ result: { status: "UNKNOWN" } })],
    ["nothing", { status: 200, body: "" }],
    ["another payment's success", lines({ result: payment({ paymentHash: "ab".repeat(32), status: "SUCCEEDED", preimage: "cd".repeat(32) }) })],
    ["another payment's failure", lines({ result: payment({ paymentHash: "ab".repeat(32), status: "FAILED" }) })],
  ])("%s", async (_, answer) => {
    const { wallet, server, request } = await set();
    server.next = answer;
    expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
  });
});

test("already paid: the preimage is fetched by tracking", async () => {
  const { wallet, request, preimage, world } = await set();
  await wallet.pay(request());
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage, feeMsat: 2_000n });
  expect(world.sim.payments).toHaveLength(1);
});

test("already paid, and tracking does not know it: unknown", async () => {
  const { wallet, server, request } = await set();
  server.next = streamError(409, 6, "invoice is already paid");
  expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
});

test("a preimage of zeros is none", async () => {
  const { wallet, server, request, invoice } = await set();
  server.next = lines({ result: payment({ paymentHash: invoice.paymentHash, status: "SUCCEEDED" }) });
  expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage: null });
});

describe("look-up", () => {
  test("asks in URL-safe base64 with padding, whatever the hash", async () => {
    const { wallet, server } = await set();
    for (const paymentHash of ["fb".repeat(32), "ff".repeat(32), "03".repeat(32)]) expect(await wallet.lookup({ paymentHash })).toEqual({ status: "not_found" });
    expect(server.asked.map(({ path }) => path.slice("/v2/router/track/".length))).toEqual(["fb", "ff", "03"].map((byte) => `${Buffer.from(byte.repeat(32), "hex").toString("base64url")}=`));
  });

  test("reads one line of a stream that stays open", async () => {
    const { wallet, world, request } = await set();
    const held = world.payee.invoice({ amountMsat: 5_000n, hold: true });
    await wallet.pay({ ...request(), ...requestOf(held), deadline: Date.now() + 150 });
    expect(await wallet.lookup(held)).toEqual({ status: "in_flight" });
    world.payee.cancelHold(held.paymentHash);
    await expect.poll(() => wallet.lookup(held)).toEqual({ status: "failed", soft: false });
  });

  test.each([
    ["no answer of LND", 404, "404 page not found"],
    ["a proxy's 404", 404, '{"message":"no such host"}'],
    ["a locked node, which knows no path yet", 404, '{"code":5,"message":"Not Found","details":[]}'],
    ["a starting node", 404, '{"error":{"code":5,"message":"unknown service routerrpc.Router"}}'],
    ["500", 500, '{"error":{"code":2,"message":"no"}}'],
    ["not JSON", 200, "<html>"],
    ["an unknown status", 200, '{"result":{"status":"UNKNOWN"}}'],
    ["another payment", 200, JSON.stringify({ result: payment({ paymentHash: "ab".repeat(32), status: "FAILED" }) })],
  ])("%s throws: it is never not_found", async (_, status, body) => {
    const { fakeServer, wallet } = await raw(status, body);
    await expect(wallet.lookup({ paymentHash: "11".repeat(32) })).rejects.toThrow(/lnd/);
    await fakeServer.close();
  });
});

/** A server with one answer for everything. */
async function raw(status: number, body: string): Promise<{ wallet: LndWallet; fakeServer: { close(): Promise<void> } }> {
  const { serveFake } = await import("./fakes/server.ts");
  const fakeServer = await serveFake(async () => ({ status, body }), () => false);
  return { wallet: make(fakeServer.url), fakeServer };
}

describe("TLS", () => {
  const pems = async (names: { type: 2 | 7; value?: string; ip?: string }[]): Promise<{ key: string; cert: string }> => {
    const made = await generate([{ name: "commonName", value: "lnd autogenerated cert" }], {
      keyType: "ec",
      extensions: [
        { name: "basicConstraints", cA: true },
        { name: "subjectAltName", altNames: names },
      ] as never,
    });
    return { key: made.private, cert: made.cert };
  };
  const over = async (tls: { key: string; cert: string }, cert?: string): Promise<{ paid: Awaited<ReturnType<LndWallet["pay"]>>; asked: number }> => {
    const world = createWorld();
    const server = await fakeLnd(world, { tls });
    const wallet = new LndWallet({ url: server.url, macaroon: MACAROON, ...(cert === undefined ? {} : { cert }) });
    const paid = await wallet.pay(requestOf(world.payee.invoice({ amountMsat: 1_000n })));
    await server.close();
    return { paid, asked: server.asked.length };
  };

  test("a self-signed certificate that was given is trusted", async () => {
    const tls = await pems([{ type: 7, ip: "127.0.0.1" }]);
    expect((await over(tls, tls.cert)).paid).toMatchObject({ status: "settled" });
  });

  test.each<[string, boolean]>([["not given", false], ["another one given", true]])("%s: nothing is sent, and the error says what to do", async (_, given) => {
    const tls = await pems([{ type: 7, ip: "127.0.0.1" }]);
    const other = await pems([{ type: 7, ip: "127.0.0.1" }]);
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    // Not even this switches it off.
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    const { paid, asked } = await over(tls, given ? other.cert : undefined);
    if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
    expect(paid).toMatchObject({ status: "failed", reason: "unreachable", message: expect.stringContaining("certificate") });
    expect(asked).toBe(0);
  });

  test("a certificate for another host: nothing is sent", async () => {
    const tls = await pems([{ type: 2, value: "elsewhere.example" }]);
    expect(await over(tls, tls.cert)).toMatchObject({ paid: { status: "failed", reason: "unreachable" }, asked: 0 });
  });
});
