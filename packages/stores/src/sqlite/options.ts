import { L402Error } from "@l402-tools/core";
import { readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

export interface SqliteStoreOptions {
  /** The ledger's file. It is made, with its folder, when there is none. */
  readonly path: string;
  /**
   * 32 bytes, or the same in base64 or hex: credentials, preimages and invoices are encrypted with it (AES-256-GCM).
   * Without one they are readable in the file. A ledger gets its key when it is made, or with the first secret that is
   * written with one; from then on it is opened with that key only.
   */
  readonly encryptionKey?: string | Uint8Array;
  /** Decides rolling windows. @default the system's */
  readonly clock?: { now(): number };
  /** How long a call waits for other processes, ms, before it fails as `store_unavailable`. @default 10_000 */
  readonly busyTimeoutMs?: number;
  /** The guard that tells an old copy of the ledger; best kept outside the ledger's backup. @default `<path>.guard` */
  readonly guardPath?: string;
  /** Lets the ledger be on a network file system, whose locks may not hold: only if one process alone uses it. @default false */
  readonly allowNetworkFileSystem?: boolean;
}

export interface ReadOptions {
  readonly path: string;
  readonly guardPath: string;
  readonly key: Uint8Array | undefined;
  readonly clock: { now(): number };
  readonly busyTimeoutMs: number;
  readonly allowNetworkFileSystem: boolean;
}

const KNOWN: Record<keyof SqliteStoreOptions, true> = { path: true, encryptionKey: true, clock: true, busyTimeoutMs: true, guardPath: true, allowNetworkFileSystem: true };

const refuse = (message: string): L402Error => new L402Error("invalid_options", message);

function readPath(name: string, value: unknown): string {
  if (typeof value !== "string" || value.trim() === "" || value.includes("\0")) throw refuse(`sqliteStore: ${name} must be the path of a file.`);
  if (value === ":memory:" || value.startsWith("file:")) throw refuse(`sqliteStore: ${name} must be the path of a file; for a store in memory there is memoryStore().`);
  if (value === "~" || value.startsWith("~/")) throw refuse(`sqliteStore: ${name} begins with ~, which only a shell expands; give the whole path.`);
  return realPath(resolve(value));
}

/** Links to nothing that are followed; more are a circle. */
const LINKS_MAX = 40;

/** The path without symbolic links, so that one ledger has one guard, by whichever name it is opened. */
function realPath(path: string, links = 0): string {
  try {
    return realpathSync(path);
  } catch {
    // It is not there yet: its folder may be, or it is a link that leads to nothing so far.
  }
  const target = readLink(path);
  if (target !== undefined && links < LINKS_MAX) return realPath(resolve(dirname(path), target), links + 1);
  return dirname(path) === path ? path : join(realPath(dirname(path), links), basename(path));
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function readKey(value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const wrong = refuse("sqliteStore: encryptionKey must be 32 bytes: a Uint8Array, 64 hex digits, or base64.");
  if (value instanceof Uint8Array) {
    if (value.length !== 32) throw wrong;
    return Uint8Array.from(value);
  }
  if (typeof value !== "string") throw wrong;
  if (/^[0-9a-f]{64}$/i.test(value)) return Uint8Array.from(Buffer.from(value, "hex"));
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(value)) throw wrong;
  return Uint8Array.from(Buffer.from(value, "base64"));
}

/** @throws {L402Error} `invalid_options`, naming the option that cannot be meant. */
export function readOptions(options: SqliteStoreOptions): ReadOptions {
  if (typeof options !== "object" || options === null) throw refuse('sqliteStore needs options: sqliteStore({ path: "ledger.db" }).');
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(KNOWN, name));
  if (unknown !== undefined) throw refuse(`sqliteStore: there is no option ${JSON.stringify(unknown)}.`);
  const path = readPath("path", options.path);
  const { clock = { now: () => Date.now() }, busyTimeoutMs = 10_000, allowNetworkFileSystem = false } = options;
  if (typeof clock?.now !== "function") throw refuse("sqliteStore: clock must have now().");
  if (!Number.isSafeInteger(busyTimeoutMs) || busyTimeoutMs < 0) throw refuse("sqliteStore: busyTimeoutMs must be a whole number of milliseconds, 0 or more.");
  if (typeof allowNetworkFileSystem !== "boolean") throw refuse("sqliteStore: allowNetworkFileSystem must be true or false.");
  const guardPath = options.guardPath === undefined ? `${path}.guard` : readPath("guardPath", options.guardPath);
  if (guardPath === path) throw refuse("sqliteStore: guardPath must be another file than path.");
  return { path, guardPath, key: readKey(options.encryptionKey), clock, busyTimeoutMs, allowNetworkFileSystem };
}
