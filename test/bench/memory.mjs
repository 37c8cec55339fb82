/**
 * Memory that stays after many payments, in a process of its own (`node --expose-gc memory.mjs <payments>`), against a
 * bare memory store that was given the same rows.
 */
import { spawnSync } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { round } from "./measure.mjs";

const self = fileURLToPath(import.meta.url);
/** The client's own report lists so many payments at most; until then it grows, on purpose and with a bound. */
const LISTED = 20_000;

export async function memory(_server, { quick }) {
  const payments = quick ? 2_000 : 100_000;
  const run = (what) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ["--expose-gc", self, what, String(payments)], { encoding: "utf8" });
    if (status !== 0) throw new Error(`${what}: ${stderr}`);
    return JSON.parse(stdout);
  };
  const client = run("client");
  const rows = run("rows");
  const excess = client.bytesPerPayment - rows.bytesPerPayment;
  return [
    {
      id: "memory",
      what: `heap after ${payments.toLocaleString("en")} payments, growth beyond the ledger's rows`,
      baseline: `${round(rows.bytesPerPayment, 0)} bytes a row`,
      measured: round(excess, 0),
      unit: "bytes a payment",
      bar: quick ? "– (full run)" : "< 5 % of a row",
      ok: quick ? null : excess < rows.bytesPerPayment * 0.05,
      others: { alby: "keeps no record", l402: "keeps no record" },
      note: `heap at the end: ${round(client.heapMiB, 1)} MiB with the client, ${round(rows.heapMiB, 1)} MiB rows only${quick ? "; a short run counts the report's bounded list too" : `; counted after the first ${LISTED}, when the report's list is full`}`,
    },
  ];
}

if (process.argv[1] === self) {
  const { L402Client, memoryStore } = await import("@l402-tools/core");
  const { createLightning } = await import("@l402-tools/testing");
  const [what, total] = [process.argv[2], Number(process.argv[3])];
  const from = total > 2 * LISTED ? LISTED : total / 2;
  let bytesAtFrom = 0;
  const heap = () => {
    globalThis.gc();
    globalThis.gc();
    return process.memoryUsage().heapUsed;
  };

  /** Both runs keep texts of the same kinds and lengths. */
  const offer = () => {
    const preimage = randomBytes(32).toString("hex");
    const paymentHash = createHash("sha256").update(Buffer.from(preimage, "hex")).digest("hex");
    const credential = Buffer.concat([Buffer.from([2, 2, 66, 0, 0]), Buffer.from(paymentHash, "hex"), randomBytes(32), Buffer.from([0, 0, 6, 32]), randomBytes(32)]).toString("base64");
    return { preimage, paymentHash, credential };
  };
  const url = (turn) => `https://api.example.com/item/${turn}`;
  let step;

  if (what === "client") {
    // The network is recreated now and then: it remembers its invoices, which are not what is measured.
    let node = createLightning().node("bench");
    const pending = new Map();
    const client = new L402Client({
      wallet: { payInvoice: async (invoice) => ({ preimage: pending.get(invoice) }) },
      network: "regtest",
      credentialScope: "path",
      budgetSats: 1_000_000_000,
      fetch: async (_url, init) => {
        if (init.headers.has("authorization")) return new Response("ok");
        const { preimage, credential } = offer();
        const { invoice } = node.invoice({ amountMsat: 1_000n, description: "bench", preimage });
        pending.clear();
        pending.set(invoice, preimage);
        return new Response("pay", { status: 402, headers: { "www-authenticate": `L402 macaroon="${credential}", invoice="${invoice}"` } });
      },
    });
    globalThis.kept = client; // else it is garbage before its last measurement
    step = async (turn) => {
      if (turn % 1_000 === 0) node = createLightning().node("bench");
      await (await client.fetch(url(turn))).text();
    };
  } else {
    const store = memoryStore();
    globalThis.kept = store;
    const client = randomUUID();
    step = async (turn) => {
      const owner = `${client}/${turn}`;
      const { preimage, paymentHash, credential } = offer();
      const place = new URL(url(turn));
      const requestKey = `GET ${place.origin}${place.pathname}`;
      await store.reserve({
        payment: {
          paymentHash, budgetId: "default", scopes: ["default"], requestKey, callKey: requestKey, url: place.href, method: "GET", origin: place.origin, host: place.hostname,
          path: place.pathname, amountMsat: 1_000n, payee: "02".repeat(33), wallet: "simple", invoice: "", expiresAt: Date.now() + 3_600_000, scheme: "L402", credential,
          owner, leaseUntil: Date.now() + 390_000,
        },
        maxFeeMsat: 0n, minFeeMsat: 0n, limits: [{ scope: "default", maxMsat: 1_000_000_000_000n }],
      });
      await store.dispatch(paymentHash, owner, Number.MAX_SAFE_INTEGER);
      await store.settle(paymentHash, { preimage, feeMsat: 0n, resolution: "the wallet's answer" });
      await store.accepted(paymentHash);
    };
  }
  for (let turn = 0; turn < total; turn += 1) {
    if (turn === from) bytesAtFrom = heap();
    await step(turn);
  }
  const end = heap();
  console.log(JSON.stringify({ bytesPerPayment: (end - bytesAtFrom) / (total - from), heapMiB: end / 2 ** 20 }));
}
