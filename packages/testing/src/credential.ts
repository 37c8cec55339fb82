import macaroons from "macaroon";
import { derive, sha256 } from "./hash.ts";

/** What a macaroon of ours was minted for. */
export interface MintOptions {
  readonly secret: Uint8Array;
  readonly paymentHash: string;
  /** 32 bytes hex. */
  readonly tokenId: string;
  readonly caveats: readonly string[];
  readonly location: string;
}

/** The root key of a token; only the server can make it. */
function rootKey(secret: Uint8Array, tokenId: string): Uint8Array {
  return derive(secret, `root key ${tokenId}`);
}

/** Mints a macaroon with aperture's identifier (version 0, payment hash, token id: 66 bytes), as V2 binary. */
export function mintMacaroon(options: MintOptions): Uint8Array {
  const identifier = Buffer.concat([Buffer.from([0, 0]), Buffer.from(options.paymentHash, "hex"), Buffer.from(options.tokenId, "hex")]);
  const macaroon = macaroons.newMacaroon({ version: 2, rootKey: rootKey(options.secret, options.tokenId), identifier, location: options.location });
  for (const caveat of options.caveats) macaroon.addFirstPartyCaveat(caveat);
  const { s64 } = macaroon.exportJSON();
  if (s64 === undefined) throw new Error("the macaroon has no signature");
  // `exportBinary` of macaroon 3.0.4 doubles its buffer with every field beyond 200 bytes: 15 ms for two caveats.
  const signature = Buffer.from(s64, "base64url");
  const caveats = options.caveats.flatMap((caveat) => [...field(2, Buffer.from(caveat)), END]);
  return Buffer.concat([Buffer.from([2]), ...field(1, Buffer.from(options.location)), ...field(2, identifier), END, ...caveats, END, ...field(6, signature)]);
}

const END: Buffer = Buffer.from([0]);

/** A field of the V2 binary format: tag, length as a varint, data. */
function field(tag: number, data: Buffer): Buffer[] {
  const length: number[] = [];
  for (let left = data.length; ; left >>>= 7) {
    if (left < 0x80) {
      length.push(left);
      break;
    }
    length.push((left & 0x7f) | 0x80);
  }
  return [Buffer.from([tag, ...length]), data];
}

/** A credential that was read from an `Authorization` header. */
export interface Presented {
  readonly scheme: "L402" | "LSAT";
  readonly paymentHash: string;
  readonly tokenId: string;
  readonly preimage: string;
  readonly macaroon: ReturnType<typeof macaroons.importMacaroon>;
}

/** Reads `L402 <macaroon>:<preimage>`; `undefined` if it is anything else. */
export function readAuthorization(value: string | null): Presented | undefined {
  const match = /^(L402|LSAT) +([A-Za-z0-9+/=_-]+):([0-9a-fA-F]{64})$/i.exec(value ?? "");
  if (match === null) return undefined;
  try {
    // Node reads base64 and base64url alike.
    const macaroon = macaroons.importMacaroon(Buffer.from(match[2] as string, "base64"));
    const identifier = Buffer.from(macaroon.identifier);
    if (identifier.length !== 66 || identifier.readUInt16BE(0) !== 0) return undefined;
    return {
      scheme: (match[1] as string).toUpperCase() as "L402" | "LSAT",
      paymentHash: identifier.subarray(2, 34).toString("hex"),
      tokenId: identifier.subarray(34).toString("hex"),
      preimage: (match[3] as string).toLowerCase(),
      macaroon,
    };
  } catch {
    return undefined;
  }
}

/** Why a presented credential is refused; `undefined`: it is good. `check` says what is wrong with a caveat, or `null`. */
export function verifyCredential(presented: Presented, secret: Uint8Array, check: (caveat: string) => string | null): string | undefined {
  try {
    presented.macaroon.verify(rootKey(secret, presented.tokenId), check);
  } catch (error) {
    return (error as Error).message;
  }
  if (sha256(Buffer.from(presented.preimage, "hex")).toString("hex") !== presented.paymentHash) return "the preimage is not the one of this payment";
  return undefined;
}
