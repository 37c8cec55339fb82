/** The ways out that a person decides on, and the check of a whole ledger. */
import { expect, text } from "../arguments.ts";
import { EXIT, UsageError } from "../errors.ts";
import { ledgerPath, openLedger, readingClient } from "../ledger.ts";
import type { Command } from "./command.ts";
import { Scope } from "../scope.ts";

function reason(given: string | undefined): string {
  if (given === undefined || given.trim() === "") throw new UsageError('A reason is needed, and goes on record: --why "…".');
  return given;
}

export const resume: Command = {
  name: "resume",
  usage: '--why "…"',
  summary: "lets a budget pay again that was paused because more was charged than held",
  details: "Look at the payments first (l402-tools payments). The reason goes on record.",
  options: { why: { type: "string" } },
  async run({ terminal, settings, values, positionals }) {
    expect(positionals);
    const why = reason(text(values, "why"));
    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    const client = scope.use(readingClient(settings, store));
    const paused = await store.paused(settings.rules.budgetId ?? "default");
    if (paused !== null) await client.resume({ why });
    await terminal.result({ resumed: paused !== null }, () => [paused === null ? "It was not paused." : "It may pay again."]);
    return EXIT.done;
  },
};

export const acceptRestoredLedger: Command = {
  name: "accept-restored",
  usage: '--why "…"',
  summary: "lets an old copy of a ledger, put back from a backup, be paid with again",
  details: `What was spent after that copy was made is not in it: compare with the wallet's own history first, and lower
the limits by the difference. The reason goes on record.`,
  options: { why: { type: "string" } },
  async run({ terminal, settings, values, positionals }) {
    expect(positionals);
    const why = reason(text(values, "why"));
    // Opened first, so that what is not there is not made.
    await (await openLedger(settings, "exist")).close();
    const { acceptRestored } = await import("@l402-tools/stores/sqlite");
    acceptRestored({
      path: ledgerPath(settings),
      why,
      ...(settings.guardPath === undefined ? {} : { guardPath: settings.guardPath }),
      ...(settings.encryptionKey === undefined ? {} : { encryptionKey: settings.encryptionKey }),
    });
    await terminal.result({ accepted: true }, () => ["The ledger may be paid with again."]);
    return EXIT.done;
  },
};

export const verify: Command = {
  name: "verify",
  usage: "",
  summary: "reads the whole ledger and says what does not add up",
  details: `Takes a while for a long ledger. The exit code is ${EXIT.done} when everything adds up, else ${EXIT.ledger}.`,
  options: {},
  async run({ terminal, settings, positionals }) {
    expect(positionals);
    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    const { ok, problems } = await store.verify();
    const unsafe = store.unsafe();
    const found = unsafe === null ? problems : [unsafe, ...problems];
    await terminal.result({ ok: ok && unsafe === null, problems: found }, () => (found.length === 0 ? ["Everything adds up."] : found));
    return found.length === 0 ? EXIT.done : EXIT.ledger;
  },
};
