// Durable payments a second in one process: reserve, dispatch, settle, each on disk before it is answered.
// node packages/stores/bench/payments.mjs [payments] [folder]
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteStore } from "../dist/sqlite/index.js";
import { payment } from "./payment.mjs";

const count = Number(process.argv[2] ?? 5_000);
const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), "l402-bench-"));

async function run(title, options, concurrency) {
  const path = join(folder, `${title.replaceAll(/\W+/g, "-")}.db`);
  const store = sqliteStore({ path, ...options });
  const limits = [
    { scope: "default", maxMsat: 10n ** 15n },
    { scope: "default", maxMsat: 10n ** 15n, windowMs: 3_600_000 },
    { scope: "default", domain: "api.example.com", maxMsat: 10n ** 15n },
  ];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const made = payment((next += 1));
      const reserved = await store.reserve({ payment: made.payment, maxFeeMsat: 100n, minFeeMsat: 0n, limits });
      if (reserved.status !== "reserved") throw new Error(reserved.status);
      await store.dispatch(made.payment.paymentHash, "bench", Number.MAX_SAFE_INTEGER);
      const settled = await store.settle(made.payment.paymentHash, { preimage: made.preimage, feeMsat: 1n, resolution: "bench" });
      if (settled.status !== "settled") throw new Error(settled.status);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  const seconds = (performance.now() - start) / 1000;
  await store.close();
  console.log(`${title}: ${Math.round(count / seconds)} payments/s (${count} in ${seconds.toFixed(2)} s), ${Math.round(statSync(path).size / count)} bytes each`);
}

await run("one after the other", {}, 1);
if (!process.env.ONE) await run("one after the other, encrypted", { encryptionKey: "11".repeat(32) }, 1);
if (!process.env.ONE) await run("50 at a time", {}, 50);
rmSync(folder, { recursive: true });
