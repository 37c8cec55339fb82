/** WebLN: the wallet that a browser extension, or a bridge to one, puts at `window.webln`. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import { assertOptions, invalid, worstCase } from "./options.ts";
import { failed, notAnInvoice, preimageOf, unknown, wholeOf } from "./outcome.ts";

/** As much of a WebLN provider as is used. */
export interface WebLNProvider {
  enable(): Promise<unknown>;
  sendPayment(invoice: string): Promise<{ preimage?: string } | undefined>;
  getBalance?(): Promise<{ balance: number; currency?: string }>;
  lookupInvoice?(query: { paymentHash: string }): Promise<{ paid?: boolean; preimage?: string }>;
}

export interface WebLNWalletOptions {
  /** @default `globalThis.webln`, looked for at the first payment */
  readonly provider?: WebLNProvider;
  /** Most that the wallet behind it charges in fees, the greater of the two; WebLN itself has no limit. @default 10 sats, 1 % */
  readonly worstCaseFee?: { readonly sats?: number; readonly percent?: number };
}

/** What `setTimeout` can take. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export class WebLNWallet implements Wallet {
  readonly name = "webln";
  readonly capabilities: WalletCapabilities;
  lookup?: (query: { paymentHash: string }) => Promise<LookupResult>;
  balance?: () => Promise<{ spendableMsat: bigint }>;
  readonly #given: WebLNProvider | undefined;

  /** @throws {L402Error} `invalid_options` */
  constructor(options: WebLNWalletOptions = {}) {
    assertOptions("WebLNWallet", options, ["provider", "worstCaseFee"]);
    const { provider } = options;
    if (provider !== undefined && typeof provider?.sendPayment !== "function") throw invalid("provider is not a WebLN provider: it has no sendPayment. In a browser it is window.webln.");
    this.#given = provider;
    const known = provider ?? present();
    const hasLookup = typeof known?.lookupInvoice === "function";
    this.capabilities = {
      feeLimit: "none",
      worstCaseFeeMsat: worstCase(options.worstCaseFee, "worstCaseFee"),
      preimage: "usually",
      lookup: hasLookup ? "by-hash" : "none",
      notFoundFinalAfterMs: null,
    };
    if (hasLookup) this.lookup = ({ paymentHash }) => this.#lookup(paymentHash);
    if (typeof known?.getBalance === "function") this.balance = () => this.#balance();
  }

  /** `sendPayment` has no deadline and cannot be stopped; the wait for it can. */
  async pay(request: PayRequest): Promise<PayResult> {
    const refused = notAnInvoice(request);
    if (refused !== undefined) return refused;
    const provider = this.#given ?? present();
    if (provider === undefined) return failed("unsupported", "There is no WebLN provider here (window.webln); nothing was sent.");
    let sent = false;
    let stopped = false;
    const work = async (): Promise<PayResult> => {
      try {
        await provider.enable();
      } catch (error) {
        return failed("unauthorized", `The WebLN provider was not enabled${isRejection(error) ? ": the user said no" : ""}; nothing was sent.`);
      }
      if (stopped) return failed("unreachable", "The time was up before the wallet was enabled; nothing was sent.");
      sent = true;
      try {
        const answer = await provider.sendPayment(request.invoice);
        if (answer?.preimage === undefined || answer.preimage === "") return unknown("the WebLN provider answered without a preimage");
        return { status: "settled", preimage: preimageOf(answer.preimage), feeMsat: null };
      } catch (error) {
        if (isRejection(error)) return failed(reasonOf(error), "The payment was refused in the wallet; nothing was sent.");
        return unknown("the WebLN provider failed, and does not say whether it paid");
      }
    };
    return untilOver(work(), request, () => {
      stopped = true;
      return sent ? unknown("the WebLN provider did not answer in time") : failed("unreachable", "The WebLN provider was not enabled in time; nothing was sent.");
    });
  }

  /** WebLN's look-up is made for invoices to be received: that one is paid is believed, anything else says nothing. */
  async #lookup(paymentHash: string): Promise<LookupResult> {
    const provider = this.#given ?? present();
    if (provider?.lookupInvoice === undefined) throw new Error("the WebLN provider is gone");
    await provider.enable();
    const found = await provider.lookupInvoice({ paymentHash });
    return found?.paid === true ? { status: "settled", preimage: preimageOf(found.preimage), feeMsat: null } : { status: "failed", soft: true };
  }

  async #balance(): Promise<{ spendableMsat: bigint }> {
    const provider = this.#given ?? present();
    await provider?.enable();
    const answer = await provider?.getBalance?.();
    const balance = wholeOf(answer?.balance);
    const isSats = answer?.currency === undefined || /^(sats?|sat(oshis?)?|btc)$/i.test(answer.currency);
    if (balance === null || !isSats) throw new Error("the WebLN provider did not tell its balance in satoshi");
    return { spendableMsat: balance * 1_000n };
  }
}

function present(): WebLNProvider | undefined {
  const webln = (globalThis as { webln?: Partial<WebLNProvider> }).webln;
  return typeof webln?.sendPayment === "function" && typeof webln.enable === "function" ? (webln as WebLNProvider) : undefined;
}

/** The one error that proves that nothing was paid: the user's no. A closed prompt may have been confirmed before. */
function isRejection(error: unknown): boolean {
  const { name, message, constructor } = (error ?? {}) as { name?: unknown; message?: unknown; constructor?: { name?: unknown } };
  return name === "RejectionError" || constructor?.name === "RejectionError" || (typeof message === "string" && /^user (rejected|denied|declined)\b/i.test(message.trim()));
}

/** Why it was refused, where the words of the refusal tell. */
function reasonOf(error: unknown): FailureReason {
  const message = String((error as { message?: unknown } | null)?.message);
  if (/insufficient|not enough|balance/i.test(message)) return "insufficient_balance";
  return /expired/i.test(message) ? "invoice_expired" : "other";
}

function untilOver(work: Promise<PayResult>, { deadline, signal }: PayRequest, late: () => PayResult): Promise<PayResult> {
  return new Promise((resolve) => {
    const end = (result: PayResult): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", over);
      resolve(result);
    };
    const over = (): void => end(late());
    const timer = setTimeout(over, Math.min(Math.max(deadline - Date.now(), 0), TIMER_MAX_MS));
    signal?.addEventListener("abort", over, { once: true });
    if (signal?.aborted === true) over();
    void work.then(end);
  });
}
