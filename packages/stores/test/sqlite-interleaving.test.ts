/** Reads and writes of one process share a connection, and must not fall into each other's transactions. */
import { expect, test } from "vitest";
import { scratch } from "./scratch.ts";
import { sqliteStore } from "../src/sqlite/index.ts";

const folder = scratch();

test("reads that are asked for while a write begins are answered", async () => {
  const store = sqliteStore({ path: `${folder}/ledger.db` });
  const query = { budgetId: "default", origin: "https://a.example", method: "GET", path: "/", anyPath: true };
  for (let round = 0; round < 200; round += 1) {
    const hash = round.toString(16).padStart(64, "0");
    const answers = await Promise.all([
      store.refused(hash, { method: "GET", path: "/" }),
      Promise.resolve().then(() => store.credential(query)),
      Promise.resolve().then(() => Promise.resolve()).then(() => store.payment(hash)),
      store.void(hash, "nothing"),
      store.usage([{ scope: "default" }]),
    ]);
    expect(answers.slice(0, 4)).toEqual([undefined, undefined, undefined, false]);
  }
  await store.close();
});
