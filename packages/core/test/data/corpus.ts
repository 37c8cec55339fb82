/** The corpus, typed as far as the tests read it. */
import { readFileSync } from "node:fs";

export interface WildChallenge {
  readonly id: string;
  readonly status: number;
  readonly headers: Record<string, readonly string[]>;
  readonly body?: string;
  readonly expect: "not-l402" | "malformed" | WildExpectation;
}

export interface WildExpectation {
  readonly scheme: string;
  readonly profile: string;
  readonly macaroon: string;
  readonly invoice: string;
  readonly ambiguous?: boolean;
  readonly tokenInfo?: { readonly binding?: "match" | "unknown" | "mismatch" };
  readonly invoiceInfo: {
    readonly valid: boolean;
    readonly network: "bitcoin" | "testnet" | "regtest" | "simnet";
    readonly amountMsat: string | null;
    readonly paymentHash: string;
    /** Epoch seconds. */
    readonly timestamp: number;
    readonly expirySeconds: number;
    readonly payee: string;
    readonly hasPaymentSecret: boolean;
  };
}

export interface Bolt11Vector {
  readonly title: string;
  readonly invoice: string;
  readonly expected: {
    readonly network: "bitcoin" | "testnet";
    readonly amountMsat: string | null;
    readonly timestamp: number;
    readonly expiry: number;
    readonly paymentHash: string;
    readonly description?: string;
    readonly payee: string;
    readonly minFinalCltvExpiryDelta: number;
  };
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));
}

export const wild: readonly WildChallenge[] = read("wild-challenges.json") as WildChallenge[];
export const bolt11Vectors: { readonly valid: readonly Bolt11Vector[]; readonly invalid: readonly { title: string; invoice: string; reason: string }[] } =
  read("bolt11-vectors.json") as { valid: Bolt11Vector[]; invalid: { title: string; invoice: string; reason: string }[] };

/** The header as `Headers.get` gives it: lines joined. */
export function wwwAuthenticate(entry: WildChallenge): string | null {
  return entry.headers["www-authenticate"]?.join(", ") ?? null;
}
