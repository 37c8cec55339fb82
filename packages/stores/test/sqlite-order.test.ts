/** Seen from outside: the ledger is on disk before the first byte goes to the wallet. */
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { start } from "./children/run.ts";
import { scratch } from "./scratch.ts";
import { systemCalls, withoutStrace } from "./strace.ts";

const folder = scratch();

/**
 * Why the order of a trace is wrong; `undefined`: every write to the ledger until the first byte to the wallet was
 * synced before it, and between the mark and it there were `commits` of them at least.
 */
function disorder(file: string, ledger: string, commits: number): string | undefined {
  let synced = 0;
  let unsynced = false;
  for (const { name, on, text } of systemCalls(file)) {
    if (text.includes('"MARK')) synced = 0;
    if (on === `${ledger}-wal`) {
      if (name === "pwrite64" || name === "write") unsynced = true;
      if ((name === "fdatasync" || name === "fsync") && unsynced) {
        unsynced = false;
        synced += 1;
      }
    }
    if (text.includes('"PAY ')) {
      if (unsynced) return "the wallet was called while a write to the ledger was not synced";
      return synced < commits ? `the wallet was called after ${synced} synced writes` : undefined;
    }
  }
  return "the wallet was never called";
}

async function trace(how: "right" | "early" | "unsynced"): Promise<{ file: string; ledger: string }> {
  const wallet = createServer((socket) => socket.on("data", () => socket.write("OK\n")).on("error", () => {}));
  wallet.listen(0, "127.0.0.1");
  await once(wallet, "listening");
  const [file, ledger] = [join(folder, `${how}.trace`), join(folder, `${how}.db`)];
  const wrapper = ["strace", "-f", "-y", "-s", "64", "-e", "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync", "-o", file];
  const child = start("pay", [ledger, String((wallet.address() as AddressInfo).port), how], { wrapper });
  expect(await child.ended).toMatchObject({ code: 0 });
  wallet.close();
  return { file, ledger };
}

test.skipIf(withoutStrace)("reservation and dispatch are each synced before the wallet gets a byte", async () => {
  const { file, ledger } = await trace("right");
  expect(disorder(file, ledger, 2)).toBe(undefined);
});

test.skipIf(withoutStrace)("the check fails when the wallet is called before the dispatch", async () => {
  const { file, ledger } = await trace("early");
  expect(disorder(file, ledger, 2)).toMatch(/after 1 synced writes/);
});

test.skipIf(withoutStrace)("the check fails when a ledger is not synced", async () => {
  const { file, ledger } = await trace("unsynced");
  expect(disorder(file, ledger, 2)).toMatch(/not synced/);
});
