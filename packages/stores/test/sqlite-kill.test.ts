/** Processes that are killed while they write: what was answered is on record, the sums hold, and the next one goes on. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sqliteStore } from "../src/sqlite/index.ts";
import { paymentNamed } from "./children/payment.ts";
import { start } from "./children/run.ts";
import { scratch } from "./scratch.ts";
import { withoutStrace } from "./strace.ts";

const folder = scratch();
const RANK: Record<string, number> = { reserved: 1, sending: 2, settled: 3 };

async function audit(path: string, lines: readonly string[]): Promise<void> {
  const store = sqliteStore({ path });
  expect(store.unsafe()).toBe(null);
  for (const [status = "", hash = ""] of lines.map((line) => line.split(" "))) {
    if (RANK[status] !== undefined) expect(RANK[(await store.payment(hash))?.state ?? ""] ?? 0, `${status} ${hash}`).toBeGreaterThanOrEqual(RANK[status]);
  }
  expect(await store.verify()).toEqual({ ok: true, problems: [] });
  // At most one payment was under way, and nothing else is held.
  const open = [];
  for await (const payment of store.payments("default", { state: ["reserved", "sending", "unknown"] })) open.push(payment);
  expect(open.length).toBeLessThanOrEqual(1);
  for (const payment of open) {
    // Its owner is known to be gone at once, whatever its lease says.
    expect(await store.ownerAlive(payment.owner)).toBe(process.platform === "linux" ? false : undefined);
    if (payment.state === "reserved") expect(await store.void(payment.paymentHash, "its owner is gone")).toBe(true);
    else expect(await store.fail(payment.paymentHash, payment.attempt, "never sent")).toBe(true);
  }
  expect((await store.usage([{ scope: "default" }]))[0]).toMatchObject({ heldMsat: 0n, heldPayments: 0 });
  await store.close();
}

async function heard(child: ReturnType<typeof start>): Promise<string[]> {
  const lines: string[] = [];
  for (let line = await child.line(); line !== undefined; line = await child.line()) lines.push(line);
  await child.ended;
  return lines;
}

test("killed at any time", async () => {
  const path = join(folder, "any-time.db");
  for (let round = 0; round < 12; round += 1) {
    const child = start("loop", [path, `round-${round}`]);
    const lines: string[] = [];
    for (let line = await child.line(); line !== undefined; line = await child.line()) {
      lines.push(line);
      if (lines.length === 5 + round * 7) child.process.kill("SIGKILL");
    }
    await child.ended;
    await audit(path, lines);
  }
}, 120_000);

describe.skipIf(withoutStrace)("killed at a system call", () => {
  // Each write and sync of the making of a ledger and of its first payments.
  test.each(Array.from({ length: 14 }, (_, index) => 1 + index * 7))("write number %i", async (when) => {
    const path = join(folder, `write-${when}.db`);
    const wrapper = ["strace", "-f", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", `inject=pwrite64:signal=SIGKILL:when=${when}`];
    await audit(path, await heard(start("loop", [path, "kill", "5"], { wrapper })));
  });

  test.each(Array.from({ length: 9 }, (_, index) => 1 + index))("sync number %i", async (when) => {
    const path = join(folder, `sync-${when}.db`);
    const wrapper = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", `inject=fsync,fdatasync:signal=SIGKILL:when=${when}`];
    await audit(path, await heard(start("loop", [path, "kill", "5"], { wrapper })));
  });
});

test("a live owner is told from one that is gone", async () => {
  const path = join(folder, "owners.db");
  const store = sqliteStore({ path });
  await store.reserve({ payment: paymentNamed("mine", { owner: "me" }), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
  expect(await store.ownerAlive("me")).toBe(process.platform === "linux" ? true : undefined);
  expect(await store.ownerAlive("nobody")).toBe(undefined);
  const child = start("loop", [path, "other"]);
  let line = await child.line();
  while (line?.startsWith("reserved") !== true) line = await child.line();
  const owner = (await store.payment(line.split(" ")[1] as string))?.owner as string;
  child.process.kill("SIGSTOP");
  expect(await store.ownerAlive(owner)).toBe(process.platform === "linux" ? true : undefined);
  child.process.kill("SIGKILL");
  await heard(child);
  expect(await store.ownerAlive(owner)).toBe(false);
  await store.close();
});

test("of two that claim the row of an owner that is gone, one gets it", async () => {
  const path = join(folder, "claims.db");
  const stores = [sqliteStore({ path }), sqliteStore({ path })] as const;
  const gone = paymentNamed("gone", { owner: "gone", leaseUntil: 5 });
  await stores[0].reserve({ payment: gone, maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
  const claims = await Promise.all(stores.map((store, index) => store.claim(gone.paymentHash, { owner: "gone", leaseUntil: 5 }, { owner: `heir ${index}`, leaseUntil: 9 })));
  expect(claims.filter(Boolean)).toHaveLength(1);
  expect(await stores[0].dispatch(gone.paymentHash, "gone", Number.MAX_SAFE_INTEGER)).toBe(null);
  for (const store of stores) await store.close();
});
