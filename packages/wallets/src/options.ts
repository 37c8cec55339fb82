/** Checks of what a wallet is constructed with. No value gets into a message. */
import { L402Error } from "@l402-tools/core";

export function invalid(message: string): L402Error {
  return new L402Error("invalid_options", message);
}

/** Refuses names that the options object does not have, and what is no object. */
export function assertOptions(wallet: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) throw invalid(`${wallet} takes one options object: { ${names.join(", ")} }.`);
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw invalid(`${wallet} has no option of that name; it takes ${names.join(", ")}.`);
  }
}

/** A non-empty text without white space around it or control characters. `where` says where to get it. */
export function requiredText(value: unknown, name: string, where: string): string {
  const text = typeof value === "string" ? value.trim() : "";
  if (text === "") throw invalid(`${name} is missing; ${where}`);
  if (/[\u0000-\u001f\u007f]/.test(text)) throw invalid(`${name} has control characters in it; ${where}`);
  // What cannot be put into a header would throw later, with the value in the error.
  if (/[^\u0020-\u007e]/.test(text)) throw invalid(`${name} has characters that it cannot have; ${where}`);
  return text;
}

/** Whether plain http may carry a key there: this machine, a private network, or Tor. */
function isPrivate(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "").replace(/^\[|\]$/g, "");
  if (name === "localhost" || !/[.:]/.test(name)) return true;
  if (/\.(localhost|local|internal|lan|home\.arpa|onion)$/.test(name)) return true;
  if (/^(127|10)\.\d+\.\d+\.\d+$|^192\.168\.\d+\.\d+$|^172\.(1[6-9]|2\d|3[01])\.\d+\.\d+$/.test(name)) return true;
  return name === "::1" || /^f[cd][0-9a-f]{2}:/.test(name);
}

/** The base URL of a service. `strip` is an end that people copy along and that the wallet adds itself. */
export function serviceUrl(value: unknown, name: string, where: string, strip?: RegExp): URL {
  const text = requiredText(value, name, where);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) throw invalid(`${name} is not an http(s) URL; ${where}`);
  if (url.username !== "" || url.password !== "") throw invalid(`${name} has a user or password in it; give them as options of their own.`);
  if (url.search !== "" || url.hash !== "") throw invalid(`${name} must not have a query or fragment; ${where}`);
  if (url.protocol === "http:" && !isPrivate(url.hostname)) throw invalid(`${name} is http to a public host, which would show the key to the network; use https.`);
  if (strip !== undefined) url.pathname = url.pathname.replace(strip, "");
  return url;
}

/** A certificate in PEM. */
export function certificate(value: unknown, name: string, where: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.test(value)) {
    throw invalid(`${name} is not a certificate in PEM (-----BEGIN CERTIFICATE-----…); ${where}`);
  }
  return value;
}

/** A worst-case fee of `{ sats, percent }`, the greater of the two, in msat. */
export function worstCase(value: unknown, name: string): (amountMsat: bigint) => bigint {
  const { sats = 10, percent = 1 } = (value ?? {}) as { sats?: unknown; percent?: unknown };
  const isCount = (count: unknown, max: number): count is number => typeof count === "number" && count >= 0 && count <= max;
  if (!isCount(sats, 1e9) || !Number.isInteger(sats)) throw invalid(`${name}.sats must be a whole number of satoshi.`);
  if (!isCount(percent, 100)) throw invalid(`${name}.percent must be between 0 and 100.`);
  const base = BigInt(sats) * 1_000n;
  const perMillion = BigInt(Math.ceil(percent * 10_000));
  return (amountMsat) => {
    const share = (amountMsat * perMillion + 999_999n) / 1_000_000n;
    return share > base ? share : base;
  };
}
