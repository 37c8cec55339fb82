/**
 * One payment to a wallet on a socket. Arguments: path, port, how. `right`: reserve, dispatch, then the wallet. `early`: the
 * wallet is called before the dispatch. `unsynced`: the ledger is written without a sync.
 */
import { writeSync } from "node:fs";
import { connect } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "../../src/sqlite/index.ts";
import { paymentNamed, preimageNamed } from "./payment.ts";

const [path, port, how] = process.argv.slice(2) as [string, string, "right" | "early" | "unsynced"];

/** Sends the invoice to the wallet, and waits for its answer. */
function pay(invoice: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(`PAY ${invoice}\n`));
    socket.once("data", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}

/** A mark in the trace. */
const mark = (): number => writeSync(1, "MARK\n");

if (how === "unsynced") {
  mark();
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE ledger (row TEXT); INSERT INTO ledger VALUES ('a'); INSERT INTO ledger VALUES ('reserved'); INSERT INTO ledger VALUES ('sending')");
  await pay("unsynced");
} else {
  const store = sqliteStore({ path });
  const payment = paymentNamed("order");
  mark();
  await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
  const dispatch = (): Promise<unknown> => store.dispatch(payment.paymentHash, payment.owner, Number.MAX_SAFE_INTEGER);
  if (how === "right") await dispatch();
  await pay(payment.invoice);
  if (how === "early") await dispatch();
  await store.settle(payment.paymentHash, { preimage: preimageNamed("order"), feeMsat: 0n, resolution: "paid" });
  await store.close();
}
