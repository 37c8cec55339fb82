/** Payments that are told apart by a name, and can be made again from it: for tests in several processes. */
import { createHash } from "node:crypto";
import type { NewPayment } from "@l402-tools/core";

const sha256 = (data: string | Buffer): Buffer => createHash("sha256").update(data).digest();

export function preimageNamed(name: string): string {
  return sha256(`preimage ${name}`).toString("hex");
}

export function paymentNamed(name: string, fields: Partial<NewPayment> = {}): NewPayment {
  return {
    paymentHash: sha256(Buffer.from(preimageNamed(name), "hex")).toString("hex"),
    budgetId: "default",
    scopes: ["default"],
    requestKey: `request ${name}`,
    url: `https://api.example.com/v1/data?n=${name}`,
    method: "GET",
    origin: "https://api.example.com",
    host: "api.example.com",
    path: "/v1/data",
    amountMsat: 1_000n,
    payee: "02".padEnd(66, "a"),
    wallet: "wallet",
    invoice: `lnbcrt-canary-invoice-${name}`,
    expiresAt: 4_000_000_000_000,
    scheme: "L402",
    credential: `canary-credential-${name}`,
    owner: `owner ${process.pid}`,
    leaseUntil: 4_000_000_000_000,
    ...fields,
  };
}
