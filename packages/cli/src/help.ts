import type { Command } from "./commands/command.ts";
import { EXIT } from "./errors.ts";

const COMMON_HELP = `  --json             results as JSON (also without it, when standard output is not a terminal); errors as JSON too
  --table            results as tables, also where standard output is not a terminal
  --ledger FILE      the ledger (L402_LEDGER)
  --budget-id ID     which budget of the ledger (L402_BUDGET_ID)
  --config FILE      the configuration file (L402_CONFIG; by default l402-tools.json of this folder, if it is there)
  --no-config        read no configuration file
  -h, --help         this`;

export const EXIT_HELP: string = `  ${EXIT.done}    done
  ${EXIT.unexpected}    something that was not foreseen
  ${EXIT.usage}    the command or a setting cannot be meant; nothing was sent
  ${EXIT.refused}    refused by the budget, a rule or a person; nothing was paid
  ${EXIT.failed}    failed; nothing was paid
  ${EXIT.unknown}    unknown: it may have been paid. l402-tools recover finds out
  ${EXIT.paidInVain}    paid, and not delivered; the same command tries again without paying
  ${EXIT.ledger}    the ledger cannot be used
  ${EXIT.httpError}    the server answered with an HTTP error; nothing was paid
  ${EXIT.interrupted}  ended by Ctrl-C (${EXIT.terminated}: by another signal); nothing was paid`;

export function helpOf(command: Command): string {
  return `Usage: l402-tools ${command.name}${command.usage === "" ? "" : ` ${command.usage}`}

${command.summary.charAt(0).toUpperCase()}${command.summary.slice(1)}.
${command.details}

Options of every command:
${COMMON_HELP}
`;
}

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return `Usage: l402-tools COMMAND [options]

Buys from paid HTTP APIs (L402, Lightning) within a budget, and shows, recovers and settles what was spent.

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join("\n")}

Options of every command (l402-tools COMMAND --help for the others):
${COMMON_HELP}
  --version          the version

Settings, from the environment or a configuration file (the environment wins):
  L402_LEDGER                       the ledger, an SQLite file
  BUDGET_SATS, BUDGET_PER_DOMAIN, MAX_SATS_PER_REQUEST, APPROVE_ABOVE    limits, sats
  PHOENIXD_PASSWORD, NWC_URL, …     the wallet; see the wallets package
  The rest: docs/guides/cli.md

Exit codes:
${EXIT_HELP}
`;
}
