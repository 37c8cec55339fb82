/** Pays until it is stopped, or `count` times; says what was answered, each line after the ledger said so. Arguments: path, name, count. */
import { isL402Error } from "@l402-tools/core";
import { writeSync } from "node:fs";
import { sqliteStore } from "../../src/sqlite/index.ts";
import { paymentNamed, preimageNamed } from "./payment.ts";

const [path, name, count = "1000000"] = process.argv.slice(2) as [string, string, string?];
const say = (...words: string[]): number => writeSync(1, `${words.join(" ")}\n`);
const store = sqliteStore({ path });
say("open");
let failures = 0;
for (let n = 1; n <= Number(count) && failures < 3; n += 1) {
  const payment = paymentNamed(`${name}-${n}`);
  try {
    const reserved = await store.reserve({ payment, maxFeeMsat: 5n, minFeeMsat: 0n, limits: [{ scope: "default", maxMsat: 10n ** 12n }] });
    say(reserved.status, payment.paymentHash);
    const sent = await store.dispatch(payment.paymentHash, payment.owner, Number.MAX_SAFE_INTEGER);
    say(sent === null ? "not_sent" : "sending", payment.paymentHash);
    const settled = await store.settle(payment.paymentHash, { preimage: preimageNamed(`${name}-${n}`), feeMsat: 1n, resolution: "paid" });
    say(settled.status, payment.paymentHash);
  } catch (error) {
    failures += 1;
    say("error", isL402Error(error) ? error.code : `untyped ${String(error)}`);
  }
}
await store.close();
say("closed");
