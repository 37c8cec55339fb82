/** The options of the tools, and what the tools of one client share. */
import type { L402Client } from "../client.ts";
import { systemClock } from "../clock.ts";
import { L402Error } from "../errors.ts";
import type { Fetch } from "../options.ts";
import type { Clock } from "../ports.ts";
import { Shelf } from "./shelf.ts";

export interface ToolOptions {
  /** Hosts to open by name, for local development: `host` (ports 443 and 80) or `host:port`; plain http too. @default [] */
  readonly allowHosts?: readonly string[] | undefined;
  /** Uses the client's own `fetch` and none of the guarded transport's checks. The URL comes from a model: think twice. @default false */
  readonly unguarded?: boolean | undefined;
  /** Most characters of a body in one result, up to 50 000. @default 20 000 */
  readonly maxChars?: number | undefined;
  /** Most bytes of a body that are read, up to 10 MiB. @default 2 MiB */
  readonly maxBytes?: number | undefined;
  /** For how long bodies are kept is measured by it. @default the system's */
  readonly clock?: Clock | undefined;
}

/** Options, checked and with their defaults. */
export interface ToolSettings {
  readonly allowHosts: readonly string[];
  readonly unguarded: boolean;
  readonly maxChars: number;
  readonly maxBytes: number;
  readonly clock: Clock;
}

const NAMES: ReadonlySet<string> = new Set(["allowHosts", "unguarded", "maxChars", "maxBytes", "clock"]);
const MAX_CHARS = 50_000;
const MAX_BYTES: number = 10 * 1024 * 1024;
const HOST = /^(?:\[[0-9a-f:.]+\]|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*|[^\s:/?#@\\[\]*%]+)(?::\d{1,5})?$/i;

function isHost(entry: string): boolean {
  const port = /^(?:\[.*\]|[^:]*):(\d{1,5})$/.exec(entry)?.[1] ?? "1";
  return HOST.test(entry) && Number(port) >= 1 && Number(port) <= 65_535;
}

function invalid(name: string, problem: string): L402Error {
  return new L402Error("invalid_options", `The tools' option ${name} ${problem}.`);
}

/** @throws {L402Error} `invalid_options`, naming the option. */
export function readToolOptions(options: ToolOptions = {}): ToolSettings {
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name)) throw invalid(name, `does not exist; the options are ${[...NAMES].join(", ")}`);
  }
  const { allowHosts = [], unguarded = false, clock = systemClock } = options;
  if (!Array.isArray(allowHosts) || !allowHosts.every((host) => typeof host === "string" && isHost(host))) {
    throw invalid("allowHosts", 'must be a list of "host" or "host:port"');
  }
  if (typeof unguarded !== "boolean") throw invalid("unguarded", "must be true or false");
  const count = (name: "maxChars" | "maxBytes", fallback: number, most: number): number => {
    const value = options[name] ?? fallback;
    if (!Number.isInteger(value) || value < 1 || value > most) throw invalid(name, `must be a whole number from 1 to ${most}`);
    return value;
  };
  return { allowHosts: [...allowHosts], unguarded, maxChars: count("maxChars", 20_000, MAX_CHARS), maxBytes: count("maxBytes", 2 * 1024 * 1024, MAX_BYTES), clock };
}

/** What all tools of a client share. */
interface Shared {
  readonly shelf: Shelf;
  readonly transports: Map<string, Promise<Fetch>>;
}

/** A second copy of this package has a table of its own: it then shares no bodies and connections, and nothing else. */
const SHARED: WeakMap<L402Client, Shared> = new WeakMap();

function sharedOf(client: L402Client): Shared {
  let shared = SHARED.get(client);
  if (shared === undefined) {
    shared = { shelf: new Shelf(), transports: new Map() };
    SHARED.set(client, shared);
  }
  return shared;
}

export function shelfOf(client: L402Client): Shelf {
  return sharedOf(client).shelf;
}

/** The guarded transport, loaded when it is first needed; `undefined`: the client's own `fetch`. */
export function transportOf(client: L402Client, settings: ToolSettings): Promise<Fetch | undefined> {
  if (settings.unguarded) return Promise.resolve(undefined);
  const { transports } = sharedOf(client);
  const key = [...settings.allowHosts].sort().join(" ");
  let transport = transports.get(key);
  if (transport === undefined) {
    transport = import("../transport/index.ts").then(({ guardedFetch }) => guardedFetch({ allowHosts: settings.allowHosts }));
    transports.set(key, transport);
  }
  return transport;
}
