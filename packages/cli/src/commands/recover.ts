import { L402Client } from "@l402-tools/core";
import { expect } from "../arguments.ts";
import { EXIT } from "../errors.ts";
import { isFullWallet, openLedger, ownPaymentsOnly, readWallet } from "../ledger.ts";
import { sats } from "../text.ts";
import type { Command } from "./command.ts";
import { holdLines, readHolds } from "./holds.ts";
import { Scope } from "../scope.ts";

export const recover: Command = {
  name: "recover",
  usage: "",
  summary: "looks open payments up at the wallet and brings them to an end",
  details: `Needs the wallet that they were made with. What was paid is booked, and what it bought is kept for the next
call; what certainly was not paid is released; the rest stays held. Nothing is paid or sent again.
The exit code is ${EXIT.done} when nothing is left open, and ${EXIT.unknown} when something is.`,
  options: { wallet: { type: "string" } },
  async run({ terminal, settings, positionals }) {
    expect(positionals);
    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    const wallet = await readWallet(settings);
    if (isFullWallet(wallet)) scope.defer(async () => wallet.close?.());
    const client = scope.use(new L402Client({ ...settings.rules, wallet: ownPaymentsOnly(wallet, store), store }));
    terminal.note("Looking open payments up…");
    const { settled, failed, voided, recoveredSats } = await client.recover();
    const open = await readHolds(store, settings, terminal.io.now());
    await terminal.result({ settled, failed, voided, recoveredSats, open }, () => [
      `Paid after all: ${settled}. Failed: ${failed}. Never sent: ${voided}. Released: ${sats(recoveredSats)}.`,
      ...(open.length === 0 ? ["Nothing is held any more."] : [`Still held: ${open.length}`, ...holdLines(open, terminal.paint, terminal.width)]),
    ]);
    return open.length === 0 ? EXIT.done : EXIT.unknown;
  },
};
