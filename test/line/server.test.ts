import { receiptOf } from "@l402-tools/core";
import { createPaywall, fetchOf } from "@l402-tools/testing";
import { describe, expect, test } from "vitest";
import { all, failure, world } from "./harness.ts";

const one = { "/one": { priceSats: 10 } };

describe("after the payment", () => {
  test("a server that needs a moment is asked again with the same credential", async () => {
    const { client, paywall, wallet, clock } = await world(one, { paywall: { misbehave: "delayed-acceptance" } });
    const call = client().fetch(`${paywall.url}/one`);
    expect((await clock.run(call)).status).toBe(200);
    expect(wallet.payCalls()).toBe(1);
  });

  test.each(["always-402", "price-rise", "reject-after-payment"] as const)("%s: paid but refused is raised, never paid over, and after two the origin is left alone", async (misbehave) => {
    const { client, paywall, wallet, clock } = await world({ "/one": { priceSats: 10 }, "/two": { priceSats: 10 }, "/three": { priceSats: 10 } }, { paywall: { misbehave } });
    const buyer = client({ budgetSats: 1_000 });
    for (const path of ["/one", "/two"]) {
      const error = await clock.run(failure(buyer.fetch(paywall.url + path)));
      expect(error).toMatchObject({ name: "CredentialRejectedError", code: "credential_rejected", paid: "yes", retryable: false });
    }
    expect(await clock.run(failure(buyer.fetch(`${paywall.url}/three`)))).toMatchObject({ code: "origin_suspended", paid: "no" });
    expect(wallet.payCalls()).toBe(2);
    expect(clock.now() - 1_800_000_000_000).toBeLessThanOrEqual(8_000);
    await clock.advance(600_000);
    expect(await clock.run(failure(buyer.fetch(`${paywall.url}/three`)))).toMatchObject({ code: "credential_rejected" });
  });

  test.each(["error-after-payment", "drop-after-payment"] as const)("%s: the same credential again, no second payment", async (misbehave) => {
    const { client, paywall, wallet, clock } = await world(one, { paywall: { misbehave } });
    expect((await clock.run(client().fetch(`${paywall.url}/one`))).status).toBe(200);
    expect(wallet.payCalls()).toBe(1);
  });

  test("a POST is not sent twice after trouble: the error says that it is paid, and the next call uses the credential", async () => {
    const { client, paywall, wallet, clock } = await world(one, { paywall: { misbehave: "drop-after-payment" } });
    const buyer = client();
    const error = await clock.run(failure(buyer.fetch(`${paywall.url}/one`, { method: "POST", body: "order" })));
    expect(error).toMatchObject({ name: "TransportError", code: "transport_failed", paid: "yes", retryable: true });
    const response = await clock.run(buyer.fetch(`${paywall.url}/one`, { method: "POST", body: "order" }));
    expect(response.status).toBe(200);
    expect(wallet.payCalls()).toBe(1);
  });

  test("a redirect never takes the credential to another origin", async () => {
    const { client, paywall, lightning, clock } = await world({ "/one": { priceSats: 10, misbehave: { name: "redirect-after-payment", to: "https://thief.example/steal" } } });
    const thief = await createPaywall({ lightning, name: "thief", routes: { "/steal": { body: "got it" } }, listen: false });
    const buyer = client({ fetch: fetchOf(paywall, thief) });
    const response = await clock.run(buyer.fetch(`${paywall.url}/one`, { headers: { "x-api-key": "secret", accept: "text/plain" } }));
    expect(await response.text()).toBe("got it");
    expect(thief.requests).toHaveLength(1);
    expect(thief.requests[0]?.headers["authorization"]).toBeUndefined();
    expect(thief.requests[0]?.headers["x-api-key"]).toBeUndefined();
    expect(thief.requests[0]?.headers["accept"]).toBe("text/plain");
    expect(receiptOf(response)).toMatchObject({ paidSats: 10, reused: false });
  });
});

describe("before the payment", () => {
  test.each([
    ["wrong-network", "invoice_network"],
    ["amountless-invoice", "invoice_amount"],
    ["zero-invoice", "invoice_amount"],
    ["expired-invoice", "invoice_expired"],
    ["expiring-invoice", "invoice_expired"],
    ["other-hash", "invoice_mismatch"],
    ["price-claim-low", "invoice_amount"],
    ["many-challenges", "challenge_invalid"],
  ] as const)("%s is refused", async (misbehave, code) => {
    const { client, paywall, wallet, clock } = await world(one, { paywall: { misbehave } });
    const buyer = client({ budgetSats: 1_000 });
    expect(await clock.run(failure(buyer.fetch(`${paywall.url}/one`)))).toMatchObject({ code, paid: "no" });
    expect(wallet.payCalls()).toBe(0);
    expect(await buyer.balance()).toMatchObject({ heldSats: 0, spentSats: 0 });
  });

  test.each(["challenge-on-200", "challenge-on-401", "challenge-on-500"] as const)("%s: only a 402 is ever paid", async (misbehave) => {
    const { client, paywall, wallet, clock } = await world(one, { paywall: { misbehave } });
    const response = await clock.run(client().fetch(`${paywall.url}/one`));
    expect(response.status).toBe(Number(misbehave.slice(-3)));
    expect(wallet.payCalls()).toBe(0);
  });

  test("an invoice that was paid for another purchase is not paid again", async () => {
    const { client, paywall, wallet } = await world({ "/a": { priceSats: 10 }, "/b": { priceSats: 10 } }, { paywall: { misbehave: "reused-invoice", credential: "path" } });
    const buyer = client({ credentialScope: "path" });
    await buyer.fetch(`${paywall.url}/a`);
    const error = await failure(buyer.fetch(`${paywall.url}/b`));
    expect(["invoice_mismatch", "credential_rejected"]).toContain(error["code"]);
    expect(wallet.payCalls()).toBe(1);
  });

  test("a 402 that is not ours is handed back with its body", async () => {
    const { client, wallet } = await world(one);
    for (const [headers, body] of [
      [{}, "plain"],
      [{ "www-authenticate": "L402" }, "bare"],
      [{ "www-authenticate": "L402 price-only" }, "price"],
      [{ "www-authenticate": "Bearer realm=x", "content-type": "application/json" }, '{"error":"Credit exhausted","code":"bundle_exhausted"}'],
      [{ "content-type": "application/json" }, '{"invoice":"lnbc1","payment_hash":"00"}'],
    ] as const) {
      const response = await client({ fetch: async () => new Response(body, { status: 402, headers }) }).fetch("https://api.example.com/");
      expect([response.status, await response.text()]).toEqual([402, body]);
      expect(receiptOf(response)).toBeUndefined();
    }
    expect(wallet.payCalls()).toBe(0);
  });

  test("plain http is not paid, except on loopback, onion and named hosts", async () => {
    const { client, paywall, wallet } = await world({ "/one": { priceSats: 10, credential: "path" } });
    const buyer = client({ fetch: paywall.fetch, allowInsecureHosts: ["lan.example"] });
    expect(await failure(buyer.fetch("http://api.example.com/one"))).toMatchObject({ code: "policy_domain", paid: "no" });
    for (const host of ["localhost:1", "127.0.0.1", "127.8.8.8:99", "[::1]:7", "abc.onion", "lan.example"]) expect((await buyer.fetch(`http://${host}/one`)).status).toBe(200);
    expect(wallet.payCalls()).toBe(6);
  });

  test("domains are checked on every hop", async () => {
    const { client, lightning, paywall, wallet } = await world({ "/go": { misbehave: { name: "redirect", to: "https://blocked.example/one" } } });
    const blocked = await createPaywall({ lightning, name: "blocked", routes: one, listen: false });
    const buyer = client({ fetch: fetchOf(paywall, blocked), blockedDomains: ["blocked.example"] });
    expect(await failure(buyer.fetch(`${paywall.url}/go`))).toMatchObject({ code: "policy_domain" });
    expect(await failure(client({ fetch: fetchOf(paywall, blocked), allowedDomains: ["paywall.example"] }).fetch(`${paywall.url}/go`))).toMatchObject({ code: "policy_domain" });
    expect(blocked.requests).toHaveLength(0);
    const open = client({ fetch: fetchOf(paywall, blocked), budgetPerDomain: { "paywall.example": 0, "blocked.example": 10 } });
    expect(receiptOf(await open.fetch(`${paywall.url}/go`))).toMatchObject({ paidSats: 10, url: "https://blocked.example/one" });
    expect(wallet.payCalls()).toBe(1);
  });

  test("a redirect loop ends", async () => {
    const { client, paywall } = await world({ "/one": { priceSats: 10, misbehave: "redirect-loop" } });
    expect(await failure(client().fetch(`${paywall.url}/one`))).toMatchObject({ code: "transport_limit", paid: "no" });
  });
});

describe("a kept credential", () => {
  test("that is refused is dropped for that path, and the call goes on", async () => {
    const { client, paywall, wallet } = await world({ "/one": { priceSats: 10, credential: "prepaid", uses: 2 } });
    const buyer = client();
    for (let call = 0; call < 6; call += 1) expect((await buyer.fetch(`${paywall.url}/one`)).status).toBe(200);
    expect(wallet.payCalls()).toBe(3);
  });

  test("refused by 401 gets one more try without it", async () => {
    const { client, paywall, wallet } = await world({ "/one": { priceSats: 10, credential: "single-use" } }, { paywall: { refuseWith: 401 } });
    const buyer = client();
    for (let call = 0; call < 3; call += 1) expect((await buyer.fetch(`${paywall.url}/one`)).status).toBe(200);
    expect(wallet.payCalls()).toBe(3);
  });

  test("does not displace the caller's own Authorization, and is tried before a payment", async () => {
    const { client, paywall, wallet } = await world(one);
    const buyer = client();
    await buyer.fetch(`${paywall.url}/one`);
    const before = paywall.requests.length;
    const init = { headers: { Authorization: "Bearer mine" } };
    expect(receiptOf(await buyer.fetch(`${paywall.url}/one`, init))).toMatchObject({ reused: true });
    expect(paywall.requests.slice(before).map((request) => request.headers["authorization"]?.split(" ")[0])).toEqual(["Bearer", "L402"]);
    expect(wallet.payCalls()).toBe(1);
    expect(init).toEqual({ headers: { Authorization: "Bearer mine" } });
  });

  test("never goes to another origin: scheme, host and port all count", async () => {
    const { client, paywall, wallet } = await world(one);
    const buyer = client({ fetch: paywall.fetch });
    for (const origin of ["https://a.example", "https://b.example", "https://a.example:8443", "http://localhost", "http://localhost:81"]) await buyer.fetch(`${origin}/one`);
    expect(wallet.payCalls()).toBe(5);
    expect((await all(buyer)).every((payment) => payment.state === "settled")).toBe(true);
  });
});
