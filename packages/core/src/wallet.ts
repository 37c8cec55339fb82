/** Any wallet as the full port, and the fee that must be held for it. */
import { isL402Error, PaymentFailedError } from "./errors.ts";
import type { MaxFee } from "./line.ts";
import type { FailureReason, PayRequest, PayResult, SimpleWallet, Wallet } from "./ports.ts";

const SIMPLE = new WeakSet<Wallet>();

/** Whether the wallet is a simple `{ payInvoice }` one: it is taken to charge no fee and to have no look-up. */
export function isSimple(wallet: Wallet): boolean {
  return SIMPLE.has(wallet);
}

/** The wallet itself, or the full port around a simple one. */
export function asWallet(wallet: Wallet | SimpleWallet): Wallet {
  if ("pay" in wallet && typeof wallet.pay === "function") return wallet;
  const simple = wallet as SimpleWallet;
  const port: Wallet = {
    name: "simple",
    capabilities: { feeLimit: "none", worstCaseFeeMsat: () => 0n, preimage: "always", lookup: "none", notFoundFinalAfterMs: null },
    async pay({ invoice }): Promise<PayResult> {
      try {
        const paid = (await simple.payInvoice(invoice)) as { preimage?: unknown } | null | undefined;
        return { status: "settled", preimage: typeof paid?.preimage === "string" ? paid.preimage : null, feeMsat: 0n };
      } catch (cause) {
        if (simple.throwMeansFailed === true && !saysFailed(cause)) {
          return { status: "failed", reason: "other", message: "The wallet says that it did not pay." };
        }
        throw cause;
      }
    },
  };
  SIMPLE.add(port);
  return port;
}

/** A wallet's way of saying by a throw that nothing moved. */
function saysFailed(cause: unknown): cause is PaymentFailedError {
  return isL402Error(cause) && cause.code === "payment_failed";
}

/** A fee as a wallet tells it, msat; `null` for what is none. Whole numbers count too: a wallet is easily written so. */
export function feeOf(told: unknown): bigint | null {
  const fee = typeof told === "number" && Number.isSafeInteger(told) ? BigInt(told) : told;
  return typeof fee === "bigint" && fee >= 0n ? fee : null;
}

/** Calls the wallet; never rejects. A throw is unknown, unless it says that nothing moved. */
export async function callWallet(wallet: Wallet, request: PayRequest): Promise<PayResult> {
  try {
    const result = (await wallet.pay(request)) as PayResult | null | undefined;
    if (result === null || typeof result !== "object" || !["settled", "in_flight", "unknown", "failed"].includes(result.status)) {
      return { status: "unknown", cause: new TypeError("the wallet answered something that is not an outcome") };
    }
    return result.status === "settled" ? { ...result, feeMsat: feeOf(result.feeMsat) } : result;
  } catch (cause) {
    if (saysFailed(cause)) return { status: "failed", reason: (cause as { reason?: FailureReason }).reason ?? "other", message: cause.message };
    return { status: "unknown", cause };
  }
}

/** The allowance of `maxFee` for an amount: the greater of its two parts, msat. */
export function feeAllowanceMsat(maxFee: MaxFee, amountMsat: bigint): bigint {
  const share = (amountMsat * BigInt(Math.round(maxFee.percent * 10_000))) / 1_000_000n;
  return share > maxFee.msat ? share : maxFee.msat;
}

/**
 * The fee to hold, msat, between what must and what may be held. Where the wallet enforces a limit the hold may shrink;
 * where it quotes, the binding quote is held; elsewhere, or when `patiently` gives the quote up, its documented worst
 * case.
 *
 * @throws {PaymentFailedError} `fee_too_high` when the quote or the worst case is above the allowance.
 */
export async function feeToHold(
  wallet: Wallet,
  request: PayRequest,
  maxFee: MaxFee,
  patiently: <T>(work: Promise<T>) => Promise<T | undefined>,
): Promise<{ maxFeeMsat: bigint; minFeeMsat: bigint }> {
  if (isSimple(wallet)) return { maxFeeMsat: 0n, minFeeMsat: 0n };
  const allowance = feeAllowanceMsat(maxFee, request.amountMsat);
  const { feeLimit } = wallet.capabilities;
  if (feeLimit === "enforced") return { maxFeeMsat: allowance, minFeeMsat: 0n };
  const worst = worstCase(wallet, request.amountMsat) ?? allowance;
  let must = worst;
  if (feeLimit === "quoted" && wallet.quoteFee !== undefined) {
    const quote = await patiently((async () => wallet.quoteFee?.({ ...request, maxFeeMsat: allowance }))().catch(() => undefined));
    const feeMsat = feeOf(quote?.feeMsat);
    if (feeMsat !== null) must = quote?.binding === true || feeMsat > worst ? feeMsat : worst;
  }
  if (must > allowance) {
    throw new PaymentFailedError(
      `The wallet may charge a fee of ${must} msat, more than the ${allowance} msat that maxFee allows. Nothing was paid; raise maxFee to pay this invoice.`,
      { reason: "fee_too_high" },
    );
  }
  return { maxFeeMsat: must, minFeeMsat: must };
}

/** The most the wallet says that it charges, msat; `undefined` when it says nothing that could be meant. */
function worstCase(wallet: Wallet, amountMsat: bigint): bigint | undefined {
  try {
    return feeOf(wallet.capabilities.worstCaseFeeMsat?.(amountMsat)) ?? undefined;
  } catch {
    return undefined;
  }
}
