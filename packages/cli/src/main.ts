/** From a command line to an exit code. */
import type { ParseArgsOptionsConfig } from "node:util";
import { flag, parse, settingFlags, type Values } from "./arguments.ts";
import type { Command } from "./commands/command.ts";
import { credentials } from "./commands/credentials.ts";
import { fetchCommand } from "./commands/fetch.ts";
import { holds } from "./commands/holds.ts";
import { payments } from "./commands/payments.ts";
import { quote } from "./commands/quote.ts";
import { recover } from "./commands/recover.ts";
import { report } from "./commands/report.ts";
import { resolve } from "./commands/resolve.ts";
import { acceptRestoredLedger, resume, verify } from "./commands/upkeep.ts";
import { EXIT, UsageError } from "./errors.ts";
import { helpOf, overview } from "./help.ts";
import { readSettings } from "./settings.ts";
import { Terminal, type Io } from "./terminal.ts";

declare const __VERSION__: string;

export const COMMANDS: readonly Command[] = [fetchCommand, quote, report, payments, holds, recover, resolve, credentials, resume, acceptRestoredLedger, verify];

const VERSION: ParseArgsOptionsConfig = { version: { type: "boolean", short: "V" } };

function styleOf(args: readonly string[]): "json" | "table" | undefined {
  return args.includes("--json") ? "json" : args.includes("--table") ? "table" : undefined;
}

/** Returns the exit code; everything that can be known before it sends anything is checked first. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  // Before anything is parsed, so that also its errors come as they were asked for.
  let terminal = new Terminal(io, { asked: styleOf(args), quiet: false });
  try {
    const [first, ...others] = args;
    if (first === undefined) {
      io.stderr.write(overview(COMMANDS));
      return EXIT.usage;
    }
    if (first.startsWith("-")) {
      const { values } = parse(args, VERSION);
      await terminal.write(flag(values, "version") ? `${__VERSION__}\n` : overview(COMMANDS));
      return flag(values, "version") || flag(values, "help") ? EXIT.done : EXIT.usage;
    }
    if (first === "help") {
      const [about] = others;
      await terminal.write(about === undefined ? overview(COMMANDS) : helpOf(commandOf(about)));
      return EXIT.done;
    }
    const command = commandOf(first);
    const { values, positionals } = parse(others, command.options);
    if (flag(values, "help")) {
      await terminal.write(helpOf(command));
      return EXIT.done;
    }
    terminal = new Terminal(io, { asked: askedStyle(values), quiet: flag(values, "quiet") });
    const settings = readSettings(settingFlags(values), io.env, io.cwd);
    for (const warning of settings.warnings) terminal.warn(warning);
    return await command.run({ terminal, settings, values, positionals });
  } catch (error) {
    return terminal.fail(error, args[0] === "quote" || args[0] === "fetch");
  }
}

function askedStyle(values: Values): "json" | "table" | undefined {
  if (flag(values, "json") && flag(values, "table")) throw new UsageError("--json and --table exclude each other.");
  return flag(values, "json") ? "json" : flag(values, "table") ? "table" : undefined;
}

function commandOf(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) throw new UsageError(`There is no command of that name; there are ${COMMANDS.map((one) => one.name).join(", ")}.`);
  return command;
}
