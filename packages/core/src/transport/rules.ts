import { isIP, isIPv6 } from "node:net";
import { TransportError } from "../errors.ts";
import { isNameableAddress, isPublicAddress } from "./address.ts";
import { invalidOption } from "./options.ts";

/**
 * Ports from 1024 on that belong to other protocols: those that the Fetch standard blocks, then databases, queues,
 * remote desktops and Bitcoin's own.
 */
const OTHER_PROTOCOLS = new Set([
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
  1433, 1521, 1883, 3268, 3269, 3306, 3389, 5222, 5269, 5432, 5671, 5672, 5900, 6379, 6380, 8332, 8333, 8883, 9042, 9092, 9735, 11211, 27017,
]);

/** Suffixes that never are on the public internet (RFC 6761, 6762, 7686, 8375, ICANN's `.internal`). */
const PRIVATE_SUFFIXES = ["localhost", "localdomain", "localdomain6", "local", "internal", "home.arpa", "onion", "test", "invalid", "lan", "intranet", "private", "corp", "home"];

/** What DNS can hold (RFC 1035 section 2.3.4, with the underscore); the URL parser lets more pass, such as `a'b(c).com`. */
const HOST_NAME = /^(?=.{1,254}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?$/;

export interface Rules {
  /** Whether the developer named this scheme, host and port. */
  isAllowed(protocol: string, hostname: string, port: number): boolean;
  /** @throws {TransportError} `transport_blocked`, unless `url` may be requested as far as it can be told without DNS. */
  check(url: URL): void;
  /** Whether one address that a host is at may be connected to. */
  mayConnect(address: string, literal: boolean, allowed: boolean): boolean;
}

export function blocked(what: string, todo: string): TransportError {
  return new TransportError("transport_blocked", `Blocked: ${what} ${todo}`);
}

/** Tells the developer how to open `host`, without the rest of the URL, which may hold secrets. */
export function allowHint(host: string): string {
  return `A developer can open it with allowHosts: [${JSON.stringify(host)}].`;
}

export function effectivePort(protocol: string, port: string): number {
  return port === "" ? (protocol === "http:" ? 80 : 443) : Number(port);
}

/** `[::1]` as `::1`. */
export function bareHost(hostname: string): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

export function readRules(allowHosts: readonly string[] | undefined, allowPorts: readonly number[] | undefined): Rules {
  const opened = readAllowHosts(allowHosts ?? []);
  const ports = allowPorts === undefined ? undefined : readPorts(allowPorts);
  const isAllowed = (protocol: string, hostname: string, port: number): boolean => opened.has(`${protocol}//${bareHost(hostname)} ${port}`);
  return {
    isAllowed,
    mayConnect: (address, literal, allowed) => (allowed ? isNameableAddress(address, literal) : isPublicAddress(address)),
    check(url) {
      if (url.protocol !== "https:" && url.protocol !== "http:") throw blocked("only https URLs are fetched.", "Use https.");
      if (url.username !== "" || url.password !== "") throw blocked("the URL contains credentials.", "Send them in a header.");
      const host = bareHost(url.hostname);
      if (isIP(host) === 0 && !HOST_NAME.test(host)) throw blocked("the host is not a name that DNS could have.", "Check the URL.");
      const port = effectivePort(url.protocol, url.port);
      if (isAllowed(url.protocol, host, port)) return;
      if (url.protocol === "http:") throw blocked(`${url.host} was asked for over plain http.`, `Use https. ${allowHint(url.host)}`);
      if (isIP(host) !== 0 ? !isPublicAddress(host) : isPrivateName(host)) {
        throw blocked(`${url.host} is not on the public internet.`, allowHint(url.host));
      }
      if (ports === undefined ? port !== 443 && (port < 1024 || OTHER_PROTOCOLS.has(port)) : !ports.has(port)) {
        throw blocked(`port ${port} is not open to https requests.`, allowHint(`${url.hostname}:${port}`));
      }
    },
  };
}

/** Names that are reserved for local use, and those without a dot, which the machine's search list completes. */
function isPrivateName(host: string): boolean {
  const name = host.replace(/\.$/, "");
  return !name.includes(".") || PRIVATE_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

/** Keys `protocol//host port`. */
function readAllowHosts(entries: readonly string[]): Set<string> {
  if (!Array.isArray(entries)) throw invalidOption("allowHosts", 'must be a list, such as ["localhost:8402"].');
  const keys = new Set<string>();
  for (const entry of entries as readonly unknown[]) {
    const { hostname, port } = readAllowHost(entry);
    keys.add(`https://${hostname} ${port ?? 443}`);
    keys.add(`http://${hostname} ${port ?? 80}`);
  }
  return keys;
}

function readAllowHost(entry: unknown): { hostname: string; port: number | undefined } {
  const refuse = (why: string): never => {
    throw invalidOption("allowHosts", `has an entry that ${why}; write "host" or "host:port".`);
  };
  if (typeof entry !== "string") return refuse("is not a text");
  const text = isIPv6(entry) ? `[${entry}]` : entry;
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/?#@\\[\]*%]+)(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return refuse("is not a host with an optional port");
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && (port < 1 || port > 65_535)) return refuse("has an impossible port");
  const url = URL.parse(`http://${match[1]}`);
  if (url === null) return refuse("is not a valid host");
  const hostname = bareHost(url.hostname);
  if (isIP(hostname) === 0 && !HOST_NAME.test(hostname)) return refuse("is not a valid host");
  if (isIP(hostname) !== 0 && !isNameableAddress(hostname, true)) return refuse("is an address that nothing may connect to");
  return { hostname, port };
}

function readPorts(ports: readonly number[]): Set<number> {
  if (!Array.isArray(ports) || !ports.every((port) => Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    throw invalidOption("allowPorts", "must be a list of ports from 1 to 65535.");
  }
  return new Set(ports);
}
