import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** RFC 6052: its last 32 bits are an IPv4 address, which is where a packet ends up. */
const NAT64: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("64:ff9b::"), 96];
/** The only block that holds global unicast addresses; everything outside it (IPv4-compatible too) is special. */
const GLOBAL_IPV6: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];
/** Publicly numbered, and yet answered by the machine's own platform: Azure's metadata and wire server. */
const METADATA = new Set(["168.63.129.16"]);

/** What a host that the developer named may resolve to: this machine, its networks, and the internet. */
const NAMEABLE = new Set(["unicast", "private", "loopback", "uniqueLocal", "carrierGradeNat"]);
/** What may be named as a literal: those, and an address of the local link. */
const NAMEABLE_LITERAL = new Set([...NAMEABLE, "linkLocal"]);

/** The address that packets reach: IPv4-mapped and NAT64 forms are unwrapped. `undefined` for what is no address. */
function parse(text: string): Address | undefined {
  if (isIP(text) === 0 || text.includes("%")) return undefined;
  const address = ipaddr.process(text);
  if (address.kind() === "ipv6" && (address as ipaddr.IPv6).match(NAT64)) {
    return new ipaddr.IPv4(address.toByteArray().slice(12));
  }
  return address;
}

/** One spelling for each address, to compare by. */
export function canonicalAddress(text: string): string | undefined {
  return parse(text)?.toString();
}

/** Whether `text` is an ordinary address of the public internet. Whatever is unknown, special or reserved is not. */
export function isPublicAddress(text: string): boolean {
  const address = parse(text);
  if (address === undefined || address.range() !== "unicast" || METADATA.has(address.toString())) return false;
  return address.kind() === "ipv4" || ((address as ipaddr.IPv6).match(GLOBAL_IPV6) && !isIsatap(address as ipaddr.IPv6));
}

/** RFC 5214 section 6.1: the last 32 bits are an IPv4 address, to which a machine with such an interface tunnels. */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return ((parts[4] ?? 0) & 0xfdff) === 0 && parts[5] === 0x5efe;
}

/**
 * Whether a host named in `allowHosts` may be at this address. A name may not lead to link-local, metadata, multicast or
 * unspecified addresses; a literal of the local link has to be named itself.
 */
export function isNameableAddress(text: string, literal: boolean): boolean {
  const address = parse(text);
  if (address === undefined || METADATA.has(address.toString())) return false;
  if (!(literal ? NAMEABLE_LITERAL : NAMEABLE).has(address.range())) return false;
  return address.range() !== "unicast" || address.kind() === "ipv4" || (address as ipaddr.IPv6).match(GLOBAL_IPV6);
}
