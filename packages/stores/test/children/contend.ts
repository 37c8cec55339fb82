/** Reserves many payments as fast as it can, on a ledger that others use as well. Arguments: path, name, payments, at a time, limit. */
import { sqliteStore } from "../../src/sqlite/index.ts";
import { paymentNamed } from "./payment.ts";

const [path, name, count, together, limit] = process.argv.slice(2) as [string, string, string, string, string];
const store = sqliteStore({ path, busyTimeoutMs: 60_000 });
const limits = [
  { scope: "default", maxMsat: BigInt(limit) * 1_000n },
  { scope: "default", domain: "api.example.com", maxMsat: BigInt(limit) * 1_000n, windowMs: 3_600_000 },
];
const counts: Record<string, number> = {};
let next = 0;

async function work(): Promise<void> {
  while (next < Number(count)) {
    const payment = paymentNamed(`${name}-${(next += 1)}`);
    const status = await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits }).then(
      (result) => result.status,
      (error: unknown) => `error: ${String(error)}`,
    );
    counts[status] = (counts[status] ?? 0) + 1;
  }
}

process.stdout.write("ready\n");
process.stdin.once("data", () => {
  void Promise.all(Array.from({ length: Number(together) }, work)).then(async () => {
    await store.close();
    process.stdout.write(`${JSON.stringify(counts)}\n`);
    process.exit(0);
  });
});
