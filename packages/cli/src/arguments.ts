/** What a command line says. `parseArgs` of Node is the parser; here is what it does not know. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { UsageError } from "./errors.ts";
import type { SettingFlags } from "./settings.ts";

export type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

export const COMMON: ParseArgsOptionsConfig = {
  help: { type: "boolean", short: "h" },
  json: { type: "boolean" },
  table: { type: "boolean" },
  quiet: { type: "boolean", short: "q" },
  config: { type: "string" },
  "no-config": { type: "boolean" },
  ledger: { type: "string" },
  "budget-id": { type: "string" },
};

/** Node's words, without what was typed where that may be a secret. @throws {UsageError} */
export function parse(args: readonly string[], options: ParseArgsOptionsConfig): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options: { ...COMMON, ...options }, strict: true, allowPositionals: true });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const [, name] = /option '(?:-\w, )?(--?[\w-]{1,30})/i.exec(message) ?? [];
    if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") throw new UsageError(`There is no option ${name ?? "of that name"}.`);
    throw new UsageError(name === undefined ? "These arguments cannot be meant." : `The option ${name} needs a value, or takes none. A value that begins with a dash is written ${name}=-value.`);
  }
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

export function texts(values: Values, name: string): readonly string[] {
  const value = values[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

export const flag = (values: Values, name: string): boolean => values[name] === true;

/** A whole number, 0 or more. @throws {UsageError} */
export function whole(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw new UsageError(`--${name} must be a whole number, 0 or more.`);
  return Number(value);
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A date, or how long ago: `2026-01-31`, `2026-01-31T12:00Z`, `24h`, `7d`. @throws {UsageError} */
export function since(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const [, count, unit = ""] = /^(\d{1,9})([smhdw])$/.exec(value) ?? [];
  if (count !== undefined) return now - Number(count) * (UNIT_MS[unit] ?? 0);
  const at = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) throw new UsageError("--since must be a date (2026-01-31, 2026-01-31T12:00Z) or a time span (24h, 7d).");
  return at;
}

export function settingFlags(values: Values): SettingFlags {
  return {
    config: text(values, "config"),
    noConfig: flag(values, "no-config"),
    ledger: text(values, "ledger"),
    budgetId: text(values, "budget-id"),
    allowHosts: texts(values, "allow-host"),
    walletModule: text(values, "wallet"),
  };
}

/** Exactly these arguments. @throws {UsageError} */
export function expect(positionals: readonly string[], ...names: readonly string[]): readonly string[] {
  const missing = names[positionals.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing.`);
  if (positionals.length > names.length) throw new UsageError(names.length === 0 ? "This command takes no arguments." : `Too many arguments: there are only ${names.join(" and ")}.`);
  return positionals;
}
