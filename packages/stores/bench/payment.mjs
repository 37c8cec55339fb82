import { createHash } from "node:crypto";

const sha256 = (data) => createHash("sha256").update(data).digest();

/** A payment of usual size: number `n`. */
export function payment(n, owner = "bench") {
  const preimage = sha256(`${owner} ${process.pid} ${n}`);
  const paymentHash = sha256(preimage).toString("hex");
  return {
    preimage: preimage.toString("hex"),
    payment: {
      paymentHash,
      budgetId: "default",
      scopes: ["default"],
      requestKey: sha256(paymentHash).toString("hex"),
      callKey: sha256(`call ${paymentHash}`).toString("hex"),
      url: `https://api.example.com/v1/data?n=${n}`,
      method: "GET",
      origin: "https://api.example.com",
      host: "api.example.com",
      path: "/v1/data",
      amountMsat: 10_000n,
      payee: "02".padEnd(66, "a"),
      wallet: "wallet",
      invoice: `lnbcrt100n1${paymentHash.repeat(4)}`,
      expiresAt: Date.now() + 3_600_000,
      scheme: "L402",
      credential: Buffer.from(paymentHash.repeat(3)).toString("base64"),
      owner,
      leaseUntil: Date.now() + 400_000,
    },
  };
}
