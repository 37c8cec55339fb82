/** Many processes, one ledger. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { sqliteStore } from "../src/sqlite/index.ts";
import { start } from "./children/run.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();

test("8 processes ask for 20,000 reservations: exactly as many are granted as fit, and no call fails", async () => {
  const path = join(folder, "contention.db");
  const limit = 12_000;
  const children = Array.from({ length: 8 }, (_, index) => start("contend", [path, `p${index}`, "2500", "8", String(limit)]));
  for (const child of children) expect(await child.line()).toBe("ready");
  for (const child of children) child.process.stdin?.write("go\n");
  const counts = await Promise.all(children.map(async (child) => JSON.parse((await child.line()) ?? "{}") as Record<string, number>));
  const sum = (status: string): number => counts.reduce((total, each) => total + (each[status] ?? 0), 0);
  expect(new Set(counts.flatMap((each) => Object.keys(each)))).toEqual(new Set(["reserved", "over_limit"]));
  expect({ reserved: sum("reserved"), refused: sum("over_limit") }).toEqual({ reserved: limit, refused: 20_000 - limit });
  // Nobody starves: each gets a fair part of what there was (an eighth is 1,500).
  for (const each of counts) expect(each["reserved"] ?? 0).toBeGreaterThan(150);

  const store = sqliteStore({ path });
  expect((await store.usage([{ scope: "default" }]))[0]).toEqual({ spentMsat: 0n, heldMsat: BigInt(limit) * 1_000n, payments: 0, heldPayments: limit });
  expect(await store.verify()).toEqual({ ok: true, problems: [] });
  await store.close();
}, 240_000);
