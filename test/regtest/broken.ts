/** Wallets that lie, or do not do what they are told: the tests must notice each of them. */
import type { LookupResult, PayRequest, PayResult, Wallet } from "@l402-tools/core";
import { LndWallet, type LndWalletOptions } from "@l402-tools/wallets";

interface Breakage {
  /** The file of tests that has to notice it. */
  readonly noticedBy: string;
  /** What becomes of the options of a wallet; `cert` is that of the node. */
  readonly options?: (given: LndWalletOptions, cert: string) => LndWalletOptions;
  readonly pay?: (wallet: LndWallet, request: PayRequest) => Promise<PayResult>;
  readonly lookup?: (wallet: LndWallet, query: { paymentHash: string }) => Promise<LookupResult>;
}

const FAILED = { status: "failed", reason: "other", message: "It is said to have failed." } as const;

/** Changes what `pay` says. */
const says = (change: (result: PayResult) => PayResult): NonNullable<Breakage["pay"]> => async (wallet, request) => change(await wallet.pay(request));
/** Changes what `lookup` says. */
const finds = (change: (found: LookupResult) => LookupResult): NonNullable<Breakage["lookup"]> => async (wallet, query) => change(await wallet.lookup(query));

export const breakages: Readonly<Record<string, Breakage>> = {
  "in flight is called failed": { noticedBy: "hold", pay: says((result) => (result.status === "in_flight" ? FAILED : result)) },
  "unknown is called failed": { noticedBy: "hold", pay: says((result) => (result.status === "unknown" ? FAILED : result)) },
  "failed is called unknown": { noticedBy: "unhappy", pay: says((result) => (result.status === "failed" ? { status: "unknown", cause: result.message } : result)) },
  "the fee is forgotten": { noticedBy: "unhappy", pay: says((result) => (result.status === "settled" ? { ...result, feeMsat: 0n } : result)) },
  "the fee is rounded to sats": { noticedBy: "unhappy", pay: says((result) => (result.status === "settled" && result.feeMsat !== null ? { ...result, feeMsat: (result.feeMsat / 1000n) * 1000n } : result)) },
  "the fee limit is ignored": { noticedBy: "unhappy", pay: (wallet, request) => wallet.pay({ ...request, maxFeeMsat: 1_000_000n }) },
  "what was paid before is called failed": {
    noticedBy: "unhappy",
    pay: async (wallet, request) => {
      const before = await wallet.lookup(request).catch(() => undefined);
      return before?.status === "settled" ? FAILED : wallet.pay(request);
    },
  },
  "the look-up calls in flight failed": { noticedBy: "hold", lookup: finds((found) => (found.status === "in_flight" ? { status: "failed", soft: false } : found)) },
  "the look-up calls failed in flight": { noticedBy: "hold", lookup: finds((found) => (found.status === "failed" ? { status: "in_flight" } : found)) },
  "the look-up forgets the fee": { noticedBy: "hold", lookup: finds((found) => (found.status === "settled" ? { ...found, feeMsat: 0n } : found)) },
  "the look-up calls not found failed": { noticedBy: "crash", lookup: finds((found) => (found.status === "not_found" ? { status: "failed", soft: false } : found)) },
  "the look-up calls silence failed": { noticedBy: "crash", lookup: (wallet, query) => wallet.lookup(query).catch(() => ({ status: "failed", soft: false })) },
  "every certificate is trusted": { noticedBy: "connect", options: (given, cert) => ({ ...given, cert }) },
};

/** The wallet as it is, or with the breakage that `REGTEST_BREAK` names. `cert` is the certificate of the node. */
export function lndWallet(given: LndWalletOptions, cert: string): Wallet {
  const name = process.env["REGTEST_BREAK"];
  if (name === undefined) return new LndWallet(given);
  const breakage = breakages[name];
  if (breakage === undefined) throw new Error(`there is no breakage "${name}"`);
  const wallet = new LndWallet(breakage.options?.(given, cert) ?? given);
  return {
    name: wallet.name,
    capabilities: wallet.capabilities,
    pay: (request) => breakage.pay?.(wallet, request) ?? wallet.pay(request),
    lookup: (query) => breakage.lookup?.(wallet, query) ?? wallet.lookup(query),
    balance: () => wallet.balance(),
    close: () => wallet.close(),
  };
}
