/** Nostr Wallet Connect (NIP-47), on nostr-tools, which is loaded at the first call. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import type { Event } from "nostr-tools/core";
import { asObject, parseObject, quote, type Json } from "./answer.ts";
import { Relays } from "./nwc-relays.ts";
import { assertOptions, invalid, requiredText, worstCase } from "./options.ts";
import { askAgain, assertSameHash, failed, feeOf, notAnInvoice, patience, preimageOf, settleThrow, unknown, wholeOf, type Failed, type LookupQuery } from "./outcome.ts";

export interface NwcWalletOptions {
  /** `nostr+walletconnect://<public key>?relay=wss://…&secret=…`, which the wallet shows; give it a budget there. */
  readonly url: string;
  /** @default what the wallet's info event names, NIP-44 first */
  readonly encryption?: Encryption;
  /** Most that the wallet charges in fees, the greater of the two; NWC itself has no limit. @default Alby Hub's: 10 sats, 1 % */
  readonly worstCaseFee?: { readonly sats?: number; readonly percent?: number };
}

type Encryption = "nip44_v2" | "nip04";

const WHERE = "copy it from your wallet: in Alby Hub it is under Connections, with a budget of its own.";
const INFO = 13_194;
const REQUEST = 23_194;
const RESPONSE = 23_195;
const INFO_TIMEOUT_MS = 5_000;
/** Life of a request where the engine sets no deadline, ms. */
const LIFE_MS = 600_000;
/** How long the request of a payment is kept to be sent again, ms: an Alby Hub runs requests up to 6 h old. */
const KEPT_MS = 24 * 3_600_000;
/** Marks, for later look-ups, that the wallet's own "failed" may be wrong. */
const DOUBTED = ":doubted";

/** Codes with which the wallet refuses before it pays. All others leave it open. */
const NOT_PAID: Readonly<Record<string, FailureReason>> = {
  RATE_LIMITED: "rate_limited",
  NOT_IMPLEMENTED: "unsupported",
  INSUFFICIENT_BALANCE: "insufficient_balance",
  QUOTA_EXCEEDED: "limit_exceeded",
  RESTRICTED: "unauthorized",
  UNAUTHORIZED: "unauthorized",
  UNSUPPORTED_ENCRYPTION: "unsupported",
  EXPIRED: "invoice_expired",
  BAD_REQUEST: "invalid_invoice",
};
/** Words by which the wallet may have lost sight of a payment that goes on. */
const LOST_SIGHT = /time-?d? ?out|deadline|context|cancell?ed|connect|transport|unavailable|rpc error|in[ -]?flight|pending|xpay|unknown/i;

interface Info {
  /** Empty: not known. */
  readonly methods: ReadonlySet<string>;
  readonly encryption: Encryption;
}

interface Reply {
  readonly error?: { readonly code: string; readonly message: string };
  readonly result?: Json;
}

/** What was sent for a payment: one signed event, for good. */
interface Sent {
  readonly event: Promise<Event | Failed>;
  readonly at: number;
  /** Whether it has left, by any call. */
  dispatched: boolean;
  settled?: Extract<PayResult, { status: "settled" }>;
}

export class NwcWallet implements Wallet {
  readonly name = "nwc";
  readonly capabilities: WalletCapabilities;
  readonly #walletKey: string;
  readonly #secret: Uint8Array;
  readonly #relays: Relays;
  readonly #forced: Encryption | undefined;
  #info: Info | undefined;
  readonly #sent = new Map<string, Sent>();

  /** @throws {L402Error} `invalid_options` */
  constructor(options: NwcWalletOptions) {
    assertOptions("NwcWallet", options, ["url", "encryption", "worstCaseFee"]);
    const { walletKey, secret, relays } = parseConnection(options.url);
    if (options.encryption !== undefined && options.encryption !== "nip44_v2" && options.encryption !== "nip04") throw invalid('encryption must be "nip44_v2" or "nip04".');
    this.capabilities = {
      feeLimit: "none",
      worstCaseFeeMsat: worstCase(options.worstCaseFee, "worstCaseFee"),
      preimage: "usually",
      lookup: "by-hash",
      // A relay may keep a request, and a wallet that was offline may run it hours later.
      notFoundFinalAfterMs: null,
    };
    this.#walletKey = walletKey;
    this.#secret = secret;
    this.#relays = new Relays(relays);
    this.#forced = options.encryption;
  }

  async pay(request: PayRequest): Promise<PayResult> {
    const refused = notAnInvoice(request);
    if (refused !== undefined) return refused;
    const sent = this.#sent.get(request.paymentHash) ?? this.#begin(request);
    return sent.settled ?? settleThrow(() => this.#send(sent, request));
  }

  /** Signs the one event of a payment; it is sent again, and never another one, until the wallet says that it failed. */
  #begin(request: PayRequest): Sent {
    const now = Date.now();
    for (const [hash, { at }] of this.#sent) if (at < now - KEPT_MS) this.#sent.delete(hash);
    const sign = async (): Promise<Event | Failed> => {
      const { methods, encryption } = await this.#getInfo(request.deadline, request.signal);
      if (methods.size > 0 && !methods.has("pay_invoice")) return failed("unsupported", "This NWC connection does not allow pay_invoice; allow it in the wallet. Nothing was sent.");
      return this.#sign("pay_invoice", { invoice: request.invoice }, encryption, request.deadline);
    };
    const sent: Sent = { event: sign(), at: now, dispatched: false };
    this.#sent.set(request.paymentHash, sent);
    return sent;
  }

  async #send(sent: Sent, request: PayRequest): Promise<PayResult> {
    const { paymentHash, deadline, signal } = request;
    // What never left may be signed anew.
    const dropUnsent = (): void => void (!sent.dispatched && this.#sent.get(paymentHash) === sent && this.#sent.delete(paymentHash));
    const event = await sent.event.finally(dropUnsent);
    if ("status" in event) return event;
    this.#sent.set(paymentHash, sent);
    if (sent.dispatched) {
      // A relay may keep a request that it has seen from the wallet, so what the wallet has done is asked for, too.
      const found = await askAgain(() => this.lookup({ ...request, ref: event.id }), "", { ref: event.id });
      if (found.status !== "unknown") return found;
    }
    try {
      const reply = await this.#exchange(event, deadline, signal, () => void (sent.dispatched = true));
      const result = await this.#outcome(request, reply, event.id);
      if (result.status === "failed") this.#sent.delete(paymentHash);
      if (result.status === "settled" && result.preimage !== null) sent.settled = result;
      return result;
    } catch (error) {
      dropUnsent();
      if (!sent.dispatched) throw error;
      return { status: "unknown", cause: error, ref: event.id };
    }
  }

  #outcome(request: PayRequest, reply: Reply | undefined, eventId: string): PayResult | Promise<PayResult> {
    if (reply === undefined) return unknown("the wallet's reply cannot be read", eventId);
    const { error, result } = reply;
    if (error === undefined) {
      const preimage = result?.["preimage"];
      // Some wallets answer so while the payment is on its way.
      if (typeof preimage !== "string" || preimage === "") return unknown("the wallet answered without a preimage", eventId);
      return { status: "settled", preimage: preimageOf(preimage), feeMsat: feeOf(wholeOf(result?.["fees_paid"])), ref: eventId };
    }
    const said = `The wallet says: ${quote(error.message)} (${quote(error.code)})`;
    const reason = Object.hasOwn(NOT_PAID, error.code) ? NOT_PAID[error.code] : undefined;
    if (reason !== undefined) return failed(reason, `${said}.`);
    const ref = LOST_SIGHT.test(error.message) ? eventId + DOUBTED : eventId;
    return askAgain(() => this.lookup({ ...request, ref }), said, { ref, believeFailure: failed("other", `${said}.`) });
  }

  async lookup({ paymentHash, ref, deadline, signal }: LookupQuery): Promise<LookupResult> {
    const { error, result } = await this.#ask("lookup_invoice", { payment_hash: paymentHash }, patience(deadline, signal));
    if (error?.code === "NOT_FOUND") return { status: "not_found" };
    if (error !== undefined || result === undefined) throw new Error(`nwc: the wallet did not answer the look-up: ${quote(error?.message)} (${quote(error?.code)})`);
    assertSameHash(this, result["payment_hash"], paymentHash);
    // The receiving side of a payment to itself says nothing about what was sent.
    if (result["type"] === "incoming") throw new Error("nwc: the wallet shows an incoming payment of this hash");
    const preimage = preimageOf(result["preimage"]);
    const settledAt = typeof result["settled_at"] === "number" && result["settled_at"] > 0;
    const { state } = result;
    if (state === "settled" || (typeof state !== "string" && settledAt && preimage !== null)) {
      return { status: "settled", preimage, feeMsat: feeOf(wholeOf(result["fees_paid"])) };
    }
    if (state === "failed") {
      const soft = ref?.endsWith(DOUBTED) === true;
      if (!soft) this.#sent.delete(paymentHash);
      return { status: "failed", soft };
    }
    // An Alby Hub calls all that is unsettled past its expiry so, also what is still on its way.
    if (state === "expired") return { status: "failed", soft: true };
    return { status: "in_flight" };
  }

  async balance(): Promise<{ spendableMsat: bigint }> {
    const { result, error } = await this.#ask("get_balance", {}, patience(undefined, undefined));
    const balance = wholeOf(result?.["balance"]);
    if (balance === null) throw new Error(`nwc: the wallet did not tell its balance: ${quote(error?.message)}`);
    return { spendableMsat: balance };
  }

  /** Closes the connections to the relays; what was asked, was asked. */
  async close(): Promise<void> {
    this.#relays.close();
  }

  async #ask(method: string, params: Json, { deadline, signal }: { deadline: number; signal: AbortSignal | undefined }): Promise<Reply> {
    const info = await this.#getInfo(deadline, signal);
    if (info.methods.size > 0 && !info.methods.has(method)) throw new Error(`nwc: this connection does not allow ${method}; allow it in the wallet`);
    const reply = await this.#exchange(await this.#sign(method, params, info.encryption, deadline), deadline, signal);
    if (reply === undefined) throw new Error("nwc: the wallet's reply cannot be read");
    return reply;
  }

  /** The wallet's info event says what it understands; a wallet without one is taken to know NIP-04 only. */
  async #getInfo(deadline: number, signal: AbortSignal | undefined): Promise<Info> {
    if (this.#info !== undefined) return this.#info;
    const byNow = Math.min(deadline, Date.now() + INFO_TIMEOUT_MS);
    const found = await this.#relays
      .exchange<Event | null>({
        filter: { kinds: [INFO], authors: [this.#walletKey] },
        read: (event) => (event.kind === INFO && event.pubkey === this.#walletKey ? event : undefined),
        whenStored: () => null,
        deadline: byNow,
        signal,
      })
      .catch((error: unknown) => {
        // A relay that was reached and stays silent; the payment itself may still go through it.
        if ((error as { code?: unknown }).code === "TIMEOUT" && byNow < deadline) return null;
        throw error;
      });
    if (found === null) return { methods: new Set(), encryption: this.#forced ?? "nip04" };
    const schemes = (found.tags.find(([name]) => name === "encryption")?.[1] ?? "nip04").split(/\s+/);
    this.#info = {
      methods: new Set(found.content.split(/\s+/).filter((method) => method !== "")),
      encryption: this.#forced ?? (schemes.includes("nip44_v2") ? "nip44_v2" : "nip04"),
    };
    return this.#info;
  }

  async #sign(method: string, params: Json, encryption: Encryption, deadline: number): Promise<Event> {
    const { finalizeEvent } = await import("nostr-tools/pure");
    const now = Math.floor(Date.now() / 1_000);
    const until = Math.ceil(Math.min(deadline, Date.now() + LIFE_MS) / 1_000);
    return finalizeEvent(
      {
        kind: REQUEST,
        created_at: now,
        tags: [["p", this.#walletKey], ...(encryption === "nip44_v2" ? [["encryption", encryption]] : []), ["expiration", String(until)]],
        content: await this.#encrypt(JSON.stringify({ method, params }), encryption),
      },
      this.#secret,
    );
  }

  /** Sends the event and waits for the wallet's reply to it; `undefined`: one that cannot be read. */
  async #exchange(event: Event, deadline: number, signal: AbortSignal | undefined, onPublish?: () => void): Promise<Reply | undefined> {
    const reply = await this.#relays.exchange<Event>({
      filter: { kinds: [RESPONSE], authors: [this.#walletKey], "#e": [event.id] },
      publish: event,
      ...(onPublish === undefined ? {} : { onPublish }),
      read: (heard) => (this.#isReply(heard, event) ? heard : undefined),
      deadline,
      signal,
    });
    const body = await this.#decrypt(reply.content).then(parseObject, () => undefined);
    if (body === undefined) return undefined;
    const error = asObject(body["error"]);
    if (error !== undefined) return { error: { code: String(error["code"] ?? ""), message: String(error["message"] ?? "") } };
    const result = asObject(body["result"]);
    return result === undefined ? undefined : { result };
  }

  /** Of the wallet, to this very request, for us. nostr-tools has verified the signature. */
  #isReply(heard: Event, event: Event): boolean {
    const tag = (name: string): string[] => heard.tags.filter(([key]) => key === name).map(([, value]) => value ?? "");
    const isForUs = tag("p").length === 0 || tag("p").includes(event.pubkey);
    return heard.kind === RESPONSE && heard.pubkey === this.#walletKey && tag("e").includes(event.id) && isForUs;
  }

  async #encrypt(text: string, encryption: Encryption): Promise<string> {
    if (encryption === "nip04") return (await import("nostr-tools/nip04")).encrypt(this.#secret, this.#walletKey, text);
    const { encrypt, getConversationKey } = await import("nostr-tools/nip44");
    return encrypt(text, getConversationKey(this.#secret, this.#walletKey));
  }

  /** By the form that the reply has: only NIP-04 has `?iv=` in it. */
  async #decrypt(text: string): Promise<string> {
    if (text.includes("?iv=")) return (await import("nostr-tools/nip04")).decrypt(this.#secret, this.#walletKey, text);
    const { decrypt, getConversationKey } = await import("nostr-tools/nip44");
    return decrypt(text, getConversationKey(this.#secret, this.#walletKey));
  }
}

/** Wallet, own key and relays of a connection string. */
function parseConnection(value: unknown): { walletKey: string; secret: Uint8Array; relays: string[] } {
  const text = requiredText(value, "The NWC connection string", WHERE);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^nostr\+?walletconnect:$/.test(url.protocol)) throw invalid(`The NWC connection string does not begin with nostr+walletconnect://; ${WHERE}`);
  const walletKey = (url.host === "" ? url.pathname.replaceAll("/", "") : url.host).toLowerCase();
  const secret = url.searchParams.get("secret") ?? "";
  const relays = url.searchParams.getAll("relay").map((relay) => relay.trim()).filter((relay) => relay !== "");
  if (!/^[0-9a-f]{64}$/.test(walletKey)) throw invalid(`The NWC connection string has no public key of the wallet in it; ${WHERE}`);
  if (!/^[0-9a-f]{64}$/i.test(secret)) throw invalid(`The NWC connection string has no secret of 64 hex digits in it; ${WHERE}`);
  if (relays.length === 0) throw invalid(`The NWC connection string names no relay; ${WHERE}`);
  for (const relay of relays) {
    if (!URL.canParse(relay) || !/^wss?:$/.test(new URL(relay).protocol)) throw invalid(`The NWC connection string names a relay that is not a ws(s) URL; ${WHERE}`);
  }
  return { walletKey, secret: Uint8Array.from(secret.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)), relays: [...new Set(relays)] };
}
