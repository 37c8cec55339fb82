import { isIP, type Socket } from "node:net";
import { lookup as systemLookup } from "node:dns/promises";
import { buildConnector } from "undici";
import { canonicalAddress } from "./address.ts";
import type { Lookup } from "./options.ts";
import { allowHint, bareHost, blocked, effectivePort, type Rules } from "./rules.ts";

/** Opens a TCP connection to `target`, whose name, if it is one, is resolved by `lookup`. */
export type OpenSocket = (target: { hostname: string; port: number; lookup: NodeLookup }) => Promise<Socket>;

/** `lookup` of `net.connect`. */
type NodeLookup = (
  hostname: string,
  options: { all?: boolean },
  callback: (error: Error | null, address: string | { address: string; family: number }[], family?: number) => void,
) => void;

interface ConnectorOptions {
  readonly rules: Rules;
  readonly timeoutMs: number;
  readonly ca?: string | readonly string[];
  readonly lookup?: Lookup;
  /** For tests. */
  readonly open?: OpenSocket;
}

/**
 * Connects undici to checked addresses only. A name is resolved once, every address of the answer is checked, and the
 * socket can go nowhere but to these. Where it got to is checked again, before TLS or the request sends a byte.
 */
export function guardedConnector(options: ConnectorOptions): buildConnector.connector {
  const { rules, timeoutMs } = options;
  const lookup: Lookup = options.lookup ?? ((hostname) => systemLookup(hostname, { all: true }));
  const open = options.open ?? tcp(timeoutMs);
  const ca = typeof options.ca === "object" ? [...options.ca] : options.ca;
  // Said aloud, since NODE_TLS_REJECT_UNAUTHORIZED=0 would decide otherwise.
  const secure = buildConnector({ timeout: timeoutMs, allowH2: false, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) });

  async function connect(target: buildConnector.Options): Promise<Socket> {
    const hostname = bareHost(target.hostname);
    const port = effectivePort(target.protocol, target.port);
    const allowed = rules.isAllowed(target.protocol, hostname, port);
    const literal = isIP(hostname) !== 0;
    const mayConnect = (address: string): boolean => rules.mayConnect(address, literal, allowed);
    const refusal = (): Error =>
      allowed
        ? blocked(`${hostname} leads to an address that allowHosts does not open to names.`, "Name the address itself.")
        : blocked(`${hostname} is not on the public internet.`, allowHint(`${target.hostname}:${port}`));

    const addresses = literal ? [hostname] : (await lookup(hostname)).map((answer) => answer.address);
    if (addresses.length === 0) throw new Error(`${hostname} has no address`);
    if (!addresses.every(mayConnect)) throw refusal();

    const socket = await open({ hostname, port, lookup: pinned(addresses) });
    const remote = canonicalAddress(socket.remoteAddress ?? "");
    const expected = remote !== undefined && mayConnect(remote) && addresses.some((address) => canonicalAddress(address) === remote);
    // A connection of this machine to itself, by whatever public address it has, is local too.
    const toItself = !allowed && remote === canonicalAddress(socket.localAddress ?? "");
    if (!expected || toItself) {
      socket.destroy();
      throw refusal();
    }
    return socket;
  }

  return (target, callback) => {
    connect(target).then(
      (socket) => {
        if (target.protocol === "https:") secure({ ...target, httpSocket: socket }, callback);
        else callback(null, socket);
      },
      (error: Error) => callback(error, null),
    );
  };
}

function tcp(timeoutMs: number): OpenSocket {
  return ({ hostname, port, lookup }) => {
    const connect = buildConnector({ timeout: timeoutMs, lookup } as buildConnector.BuildOptions);
    return new Promise((resolve, reject) => {
      connect({ hostname, host: hostname, protocol: "http:", port: String(port) }, (error, socket) => {
        if (error === null) resolve(socket as Socket);
        else reject(error);
      });
    });
  };
}

function pinned(addresses: readonly string[]): NodeLookup {
  const answers = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, { all }, callback) => {
    const first = answers[0];
    if (all === true) callback(null, answers);
    else if (first !== undefined) callback(null, first.address, first.family);
  };
}
