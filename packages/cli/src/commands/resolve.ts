import { expect, text } from "../arguments.ts";
import { EXIT, UsageError } from "../errors.ts";
import { findPayment, openLedger, readingClient } from "../ledger.ts";
import { ceilSats } from "@l402-tools/core";
import { sats } from "../text.ts";
import { readAll } from "../input.ts";
import type { Command } from "./command.ts";
import { Scope } from "../scope.ts";

export const resolve: Command = {
  name: "resolve",
  usage: 'PAYMENT settled|failed --why "…" [--preimage HEX|-]',
  summary: "ends an open payment by hand, on record",
  details: `For payments that the wallet itself cannot look up. PAYMENT is its payment hash, or the beginning of it.
Look at the wallet's own history first: what you say here is believed. One that has ended stays as it is (exit code ${EXIT.usage}).

  --why TEXT       the reason, which goes on record (required)
  --preimage HEX   proof of a settled payment, from the wallet's history; with it, what was bought can still
                   be used. Without it the money is booked, and the request may be bought anew.
                   "-" reads it from standard input, which keeps it out of the shell's history`,
  options: { why: { type: "string" }, preimage: { type: "string" } },
  async run({ terminal, settings, values, positionals }) {
    const [given = "", outcome] = expect(positionals, "PAYMENT", "settled or failed");
    if (outcome !== "settled" && outcome !== "failed") throw new UsageError("The outcome must be settled or failed.");
    const why = text(values, "why") ?? "";
    if (why.trim() === "") throw new UsageError('A reason is needed, and goes on record: --why "…".');
    const preimage = text(values, "preimage");
    if (preimage !== undefined && outcome === "failed") throw new UsageError("A failed payment has no preimage.");
    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    const client = scope.use(readingClient(settings, store));
    const { paymentHash } = await findPayment(store, settings.rules.budgetId ?? "default", given);
    const proof = preimage === "-" ? (await readAll(terminal.io.stdin)).toString("latin1").trim() : preimage;
    await client.resolve(paymentHash, outcome, { why, ...(proof === undefined ? {} : { preimage: proof.toLowerCase() }) });
    const row = await store.payment(paymentHash);
    const state = row?.state ?? outcome;
    const bookedSats = row?.state === "settled" ? ceilSats(row.amountMsat + row.feeMsat) : 0;
    await terminal.result({ paymentHash, state, bookedSats }, () => [
      state === "settled" ? `Settled by hand: ${sats(bookedSats)} booked.` : `Ended by hand as ${state}: nothing is booked, the hold is released.`,
    ]);
    return EXIT.done;
  },
};
