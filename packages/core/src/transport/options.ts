import { L402Error } from "../errors.ts";

/** All addresses of a host name, as from `dns.lookup(host, { all: true })`. */
export type Lookup = (hostname: string) => Promise<readonly { readonly address: string }[]>;

export interface GuardedFetchOptions {
  /**
   * Hosts to open by name, for local development: `host` (https on 443, http on 80) or `host:port` (https or http).
   * Such a host may be plain http and may be at a private or loopback address. Nothing else is opened: not another port,
   * not another spelling of the same host. @default []
   */
  readonly allowHosts?: readonly string[];
  /** The only ports of hosts that are not in `allowHosts`. @default 443 and those from 1024 that are not known for another protocol */
  readonly allowPorts?: readonly number[];
  /** Most bytes of a response body, after decompression. The body of a 402 gets at most 64 KiB. @default 10 MiB */
  readonly maxBodyBytes?: number;
  /** Most bytes of the response headers. @default 16 KiB */
  readonly maxHeaderBytes?: number;
  /** From the start of a hop, with DNS and TLS, to the response headers. @default 30 000 */
  readonly firstByteTimeoutMs?: number;
  /** Longest silence while the body is being read. @default 30 000 */
  readonly idleTimeoutMs?: number;
  /** From the start of the call, with all redirects, to the last byte of the body. @default 120 000 */
  readonly totalTimeoutMs?: number;
  /** Certificates (PEM) of the authorities to trust in place of the default ones. Verification is never turned off. */
  readonly ca?: string | readonly string[];
  /** Resolves host names in place of the system; every address it gives is checked. */
  readonly lookup?: Lookup;
}

export interface Bounds {
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
}

const DEFAULTS: Bounds = {
  maxBodyBytes: 10 * 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  firstByteTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  totalTimeoutMs: 120_000,
};

const NAMES = new Set([...Object.keys(DEFAULTS), "allowHosts", "allowPorts", "ca", "lookup"]);
/** The longest that a timer can wait. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export function invalidOption(name: string, problem: string): L402Error {
  return new L402Error("invalid_options", `guardedFetch: ${name} ${problem}`);
}

/** @throws {L402Error} `invalid_options`, naming the first option that cannot be meant. */
export function readBounds(options: GuardedFetchOptions): Bounds {
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name)) throw invalidOption(name, `is not an option; the options are ${[...NAMES].join(", ")}.`);
  }
  if (options.lookup !== undefined && typeof options.lookup !== "function") throw invalidOption("lookup", "must be a function.");
  const { ca } = options;
  if (ca !== undefined && typeof ca !== "string" && !(Array.isArray(ca) && ca.every((pem) => typeof pem === "string"))) {
    throw invalidOption("ca", "must be PEM text or a list of PEM texts.");
  }
  const read = (name: keyof Bounds, least: number, most: number): number => {
    const value = options[name] ?? DEFAULTS[name];
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw invalidOption(name, `must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
  return {
    maxBodyBytes: read("maxBodyBytes", 0, Number.MAX_SAFE_INTEGER),
    maxHeaderBytes: read("maxHeaderBytes", 1, 1024 * 1024),
    firstByteTimeoutMs: read("firstByteTimeoutMs", 1, TIMER_MAX_MS),
    idleTimeoutMs: read("idleTimeoutMs", 1, TIMER_MAX_MS),
    totalTimeoutMs: read("totalTimeoutMs", 1, TIMER_MAX_MS),
  };
}
