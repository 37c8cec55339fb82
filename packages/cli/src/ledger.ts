/** The ledger, and clients on it: one that can only look, and one that pays. */
import { L402Client, StoreError, type L402ClientOptions, type LookupResult, type Store, type StoredPayment, type Wallet } from "@l402-tools/core";
import type { SqliteStore } from "@l402-tools/stores/sqlite";
import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { UsageError } from "./errors.ts";
import type { Settings } from "./settings.ts";

const NO_LEDGER = "No ledger is named: set L402_LEDGER, give --ledger, or put \"ledger\" into l402-tools.json.";

export function ledgerPath({ ledger }: Settings): string {
  if (ledger === undefined) throw new UsageError(NO_LEDGER);
  return ledger;
}

/** @throws {UsageError | StoreError | L402Error} */
export async function openLedger(settings: Settings, must: "exist" | "be made"): Promise<SqliteStore> {
  const path = ledgerPath(settings);
  if (must === "exist" && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    throw new StoreError("store_unavailable", `There is no ledger at ${path}, and none was made.`);
  }
  const { sqliteStore } = await import("@l402-tools/stores/sqlite");
  return sqliteStore({
    path,
    ...(settings.guardPath === undefined ? {} : { guardPath: settings.guardPath }),
    ...(settings.encryptionKey === undefined ? {} : { encryptionKey: settings.encryptionKey }),
  });
}

/** For what moves no money. */
const NO_WALLET: Wallet = {
  name: "none",
  capabilities: { feeLimit: "none", preimage: "never", lookup: "none", notFoundFinalAfterMs: null },
  pay: () => Promise.resolve({ status: "failed", reason: "unsupported", message: "No wallet is configured." }),
};

/** A client that reads, and ends payments by hand. */
export function readingClient(settings: Settings, store: Store, options: Partial<L402ClientOptions> = {}): L402Client {
  return new L402Client({ ...settings.rules, wallet: NO_WALLET, store, ...options });
}

/** @throws {UsageError | L402Error} when no wallet, or more than one, is configured. */
export async function readWallet(settings: Settings): Promise<L402ClientOptions["wallet"]> {
  if (settings.walletModule === undefined) {
    const { walletFromEnv } = await import("@l402-tools/wallets/env");
    return walletFromEnv(settings.wallet);
  }
  try {
    const module = (await import(pathToFileURL(settings.walletModule).href)) as { default?: unknown; wallet?: unknown };
    const given = module.default ?? module.wallet;
    return (await (typeof given === "function" ? (given as () => unknown)() : given)) as L402ClientOptions["wallet"];
  } catch (error) {
    // Its message may hold what the module was made with.
    const kind = (error as { code?: unknown } | undefined)?.code ?? (error as Error | undefined)?.name ?? "a throw";
    throw new UsageError(`The wallet module ${settings.walletModule} could not be loaded (${String(kind).slice(0, 40)}). It must export a wallet, or a function that makes one, as default or as \`wallet\`.`);
  }
}

export const isFullWallet = (wallet: L402ClientOptions["wallet"]): wallet is Wallet => typeof (wallet as Partial<Wallet> | undefined)?.pay === "function";

/**
 * The wallet, which is not asked about payments that another one made: what it has never seen was perhaps paid there.
 */
export function ownPaymentsOnly(wallet: L402ClientOptions["wallet"], store: Store): L402ClientOptions["wallet"] {
  if (!isFullWallet(wallet)) return wallet;
  const { name, capabilities } = wallet;
  return {
    name,
    capabilities,
    pay: (request) => wallet.pay(request),
    ...(wallet.quoteFee === undefined ? {} : { quoteFee: (request) => (wallet as Required<Wallet>).quoteFee(request) }),
    ...(wallet.lookup === undefined
      ? {}
      : {
          async lookup(query): Promise<LookupResult> {
            const payment = await store.payment(query.paymentHash);
            if (payment !== undefined && payment.wallet !== name) throw new Error(`It was made with another wallet, ${payment.wallet}.`);
            return (wallet as Required<Wallet>).lookup(query);
          },
        }),
  };
}

/** The payment that a hash, or the unique beginning of one, names. @throws {UsageError} */
export async function findPayment(store: Store, budgetId: string, given: string): Promise<StoredPayment> {
  const wanted = given.toLowerCase();
  if (!/^[0-9a-f]{8,64}$/.test(wanted)) throw new UsageError("A payment is named by its payment hash: 64 hex digits, or at least the first 8.");
  const exact = wanted.length === 64 ? await store.payment(wanted) : undefined;
  if (exact !== undefined && exact.budgetId === budgetId) return exact;
  const found: StoredPayment[] = [];
  if (wanted.length < 64) for await (const payment of store.payments(budgetId)) if (payment.paymentHash.startsWith(wanted)) found.push(payment);
  const [one, other] = found;
  if (one === undefined) throw new UsageError(`No payment of the budget ${budgetId} has the payment hash ${wanted}${wanted.length < 64 ? "…" : ""}.`);
  if (other !== undefined) throw new UsageError(`${found.length} payments begin with ${wanted}; give more of the payment hash.`);
  return one;
}
