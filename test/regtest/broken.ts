/** Wallets that lie, or do not do what they are told: the tests must notice each of them. */
import type { LookupResult, PayRequest, PayResult, Wallet } from "@l402-tools/core";

interface Part {
  pay?(wallet: Wallet, request: PayRequest): Promise<PayResult>;
  lookup?(wallet: Wallet, query: { paymentHash: string }): Promise<LookupResult>;
}

const failed: PayResult = { status: "failed", reason: "other", message: "It is said to have failed." };
const look = (wallet: Wallet, query: { paymentHash: string }): Promise<LookupResult> => wallet.lookup?.(query) ?? Promise.reject(new Error("no look-up"));

export const breakages: Readonly<Record<string, Part>> = {
  "in flight is called failed": { pay: async (wallet, request) => ((result) => (result.status === "in_flight" ? failed : result))(await wallet.pay(request)) },
  "unknown is called failed": { pay: async (wallet, request) => ((result) => (result.status === "unknown" ? failed : result))(await wallet.pay(request)) },
  "failed is called unknown": { pay: async (wallet, request) => ((result): PayResult => (result.status === "failed" ? { status: "unknown", cause: result.message } : result))(await wallet.pay(request)) },
  "the fee is forgotten": { pay: async (wallet, request) => ((result) => (result.status === "settled" ? { ...result, feeMsat: 0n } : result))(await wallet.pay(request)) },
  "the fee is rounded to sats": { pay: async (wallet, request) => ((result) => (result.status === "settled" && result.feeMsat !== null ? { ...result, feeMsat: (result.feeMsat / 1000n) * 1000n } : result))(await wallet.pay(request)) },
  "the fee limit is ignored": { pay: (wallet, request) => wallet.pay({ ...request, maxFeeMsat: 1_000_000n }) },
  "what was paid before is called failed": {
    pay: async (wallet, request) => {
      const before = await look(wallet, request).catch(() => undefined);
      return before?.status === "settled" || before?.status === "in_flight" ? failed : wallet.pay(request);
    },
  },
  "the look-up calls in flight failed": { lookup: async (wallet, query) => ((found): LookupResult => (found.status === "in_flight" ? { status: "failed", soft: false } : found))(await look(wallet, query)) },
  "the look-up calls not found failed": { lookup: async (wallet, query) => ((found): LookupResult => (found.status === "not_found" ? { status: "failed", soft: false } : found))(await look(wallet, query)) },
  "the look-up calls silence failed": { lookup: (wallet, query) => look(wallet, query).catch(() => ({ status: "failed", soft: false })) },
  "the look-up forgets the fee": { lookup: async (wallet, query) => ((found) => (found.status === "settled" ? { ...found, feeMsat: 0n } : found))(await look(wallet, query)) },
  "the look-up calls failed in flight": { lookup: async (wallet, query) => ((found): LookupResult => (found.status === "failed" ? { status: "in_flight" } : found))(await look(wallet, query)) },
};

/** The wallet as it is, or with the breakage of this name. */
export function maybeBroken(wallet: Wallet, name: string | undefined): Wallet {
  if (name === undefined) return wallet;
  const part = breakages[name];
  if (part === undefined) throw new Error(`there is no breakage "${name}"`);
  return {
    name: wallet.name,
    capabilities: wallet.capabilities,
    pay: (request) => part.pay?.(wallet, request) ?? wallet.pay(request),
    lookup: (query) => part.lookup?.(wallet, query) ?? look(wallet, query),
    balance: () => wallet.balance?.() ?? Promise.reject(new Error("no balance")),
    close: async () => wallet.close?.(),
  };
}
