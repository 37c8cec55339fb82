import type { ParseArgsOptionsConfig } from "node:util";
import type { Values } from "../arguments.ts";
import type { Settings } from "../settings.ts";
import type { Terminal } from "../terminal.ts";

export interface Call {
  readonly terminal: Terminal;
  readonly settings: Settings;
  readonly values: Values;
  readonly positionals: readonly string[];
}

export interface Command {
  readonly name: string;
  /** What comes after the name. */
  readonly usage: string;
  readonly summary: string;
  readonly details: string;
  readonly options: ParseArgsOptionsConfig;
  /** Returns the exit code. */
  run(call: Call): Promise<number>;
}
