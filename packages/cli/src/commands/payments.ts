import type { PaymentFilter, PaymentRecord, PaymentState } from "@l402-tools/core";
import { expect, since, text, texts, whole } from "../arguments.ts";
import { EXIT, UsageError } from "../errors.ts";
import { openLedger, readingClient } from "../ledger.ts";
import { place, short, table, time, type Paint } from "../text.ts";
import type { Command } from "./command.ts";
import { Scope } from "../scope.ts";

const OPEN: readonly PaymentState[] = ["reserved", "sending", "unknown"];
const STATES: readonly PaymentState[] = [...OPEN, "settled", "failed", "voided"];
const LIMIT = 100;

function readStates(given: readonly string[]): PaymentState[] {
  return given
    .flatMap((one) => one.split(","))
    .flatMap((one): readonly PaymentState[] => {
      if (one === "open") return OPEN;
      const state = STATES.find((known) => known === one);
      if (state === undefined) throw new UsageError(`--state must be of ${STATES.join(", ")}, or open for the first three.`);
      return [state];
    });
}

export function painted(state: PaymentState, paint: Paint): string {
  switch (state) {
    case "settled":
      return paint("green", state);
    case "failed":
    case "voided":
      return paint("dim", state);
    case "reserved":
    case "sending":
    case "unknown":
      return paint("yellow", state);
  }
}

export const payments: Command = {
  name: "payments",
  usage: "[--state STATE] [--host HOST] [--since WHEN] [--limit N]",
  summary: "the payments on record, oldest first",
  details: `Reads the ledger only; no wallet is needed.

  --state STATE   only these: ${STATES.join(", ")}; open for the first three.
                  May be given more than once, or as a list with commas
  --host HOST     only payments to this host
  --since WHEN    only those from this time on: a date (2026-01-31) or a span (24h, 7d)
  --limit N       the newest N of them (default ${LIMIT}; 0: all)

HELD is what an open payment takes from the budget: its amount, and the highest fee it may cost.
The table shows URLs without their query; --json shows them whole.`,
  options: { state: { type: "string", multiple: true }, host: { type: "string" }, since: { type: "string" }, limit: { type: "string" } },
  async run({ terminal, settings, values, positionals }) {
    expect(positionals);
    const limit = whole(values, "limit") ?? LIMIT;
    const states = readStates(texts(values, "state"));
    const host = text(values, "host")?.toLowerCase();
    const from = since(text(values, "since"), terminal.io.now());
    const filter: PaymentFilter = { ...(states.length === 0 ? {} : { state: states }), ...(host === undefined ? {} : { host }), ...(from === undefined ? {} : { since: from }) };

    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    const client = scope.use(readingClient(settings, store));
    let found: PaymentRecord[] = [];
    let omitted = 0;
    for await (const payment of client.payments(filter)) {
      found.push(payment);
      // Twice the limit at most are kept, however long the ledger is.
      if (limit > 0 && found.length >= 2 * limit) {
        omitted += found.length - limit;
        found = found.slice(-limit);
      }
    }
    if (limit > 0 && found.length > limit) {
      omitted += found.length - limit;
      found = found.slice(-limit);
    }
    if (omitted > 0) terminal.note(`${omitted} older ${omitted === 1 ? "payment is" : "payments are"} not shown; see --limit.`);
    await terminal.result({ payments: found, omitted }, () => {
      if (found.length === 0) return ["No payments."];
      const rows = found.map((one) => [
        time(one.reservedAt),
        short(one.paymentHash),
        painted(one.state, terminal.paint),
        String(one.amountSats),
        String(one.feeSats),
        String(one.heldSats),
        `${one.method} ${place(one.url)}`,
      ]);
      return table(
        [{ title: "TIME" }, { title: "PAYMENT" }, { title: "STATE" }, { title: "SATS", align: "right" }, { title: "FEE", align: "right" }, { title: "HELD", align: "right" }, { title: "REQUEST" }],
        rows,
        terminal.paint,
        terminal.width,
      );
    });
    return EXIT.done;
  },
};
