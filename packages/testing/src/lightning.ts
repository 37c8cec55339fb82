import assert from "node:assert/strict";
import { createECDH, randomBytes } from "node:crypto";
import type { Clock } from "@l402-tools/core";
import { signInvoice, type Network } from "./bolt11.ts";
import { systemClock } from "./clock.ts";
import { derive, sha256 } from "./hash.ts";
import { createWallet, type SimWallet, type SimWalletOptions } from "./wallet.ts";

export interface LightningOptions {
  /** @default the machine's */
  clock?: Clock;
  /** @default "regtest" */
  network?: Network;
  /** Makes every key, preimage and identifier the same in each run. @default random */
  seed?: string;
}

export interface NewInvoice {
  /** Left out: an invoice without an amount. */
  amountMsat?: bigint;
  /** @default "" */
  description?: string;
  /** @default 3600 */
  expirySeconds?: number;
  /** The payee keeps the payment waiting until `settleHold` or `cancelHold`. */
  hold?: boolean;
  /** Another network's prefix, for an invoice that must be refused. */
  network?: Network;
  /** When it was made, epoch ms. @default now */
  issuedAt?: number;
  /** 32 bytes hex, to make two invoices of one payment hash. @default a new one */
  preimage?: string;
}

/** An invoice as its payee knows it. */
export interface IssuedInvoice {
  readonly invoice: string;
  readonly paymentHash: string;
  readonly amountMsat: bigint | undefined;
  readonly description: string;
  /** Public key of the payee, hex. */
  readonly payee: string;
  readonly network: Network;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly hold: boolean;
  /** `accepted`: a payment waits at the payee (hold invoices). */
  readonly state: "open" | "accepted" | "settled" | "cancelled";
  readonly receivedMsat: bigint;
  /** How many payments settled it; more than one is a double payment. */
  readonly timesPaid: number;
}

/** A payee: a node with a key of its own. */
export interface LightningNode {
  readonly name: string;
  readonly publicKey: string;
  invoice(options: NewInvoice): IssuedInvoice;
  find(paymentHash: string): IssuedInvoice | undefined;
  isPaid(paymentHash: string): boolean;
  /** What only the payee knows before it is paid. */
  preimageOf(paymentHash: string): string;
  /** Takes the payment that waits for a hold invoice, now or when it arrives. */
  settleHold(paymentHash: string): void;
  /** Sends it back. */
  cancelHold(paymentHash: string): void;
  readonly receivedMsat: bigint;
}

/** An invoice that was paid more than once. */
export interface DoublePayment {
  readonly paymentHash: string;
  readonly times: number;
  readonly amountMsat: bigint;
}

/** A Lightning network in one process: real invoices, keys and preimages; money that only moves. */
export interface Lightning {
  readonly clock: Clock;
  readonly network: Network;
  readonly wallets: readonly SimWallet[];
  readonly nodes: readonly LightningNode[];
  /** The node of that name; made at its first use. */
  node(name: string): LightningNode;
  wallet(options: SimWalletOptions): SimWallet;
  /** An invoice of any payee, by its text. */
  find(invoice: string): IssuedInvoice | undefined;
  /** Routing fees that the network earned. */
  readonly feesMsat: bigint;
  /** What the wallets were given when they were made. */
  readonly mintedMsat: bigint;
  /** All balances, all money on its way, all that payees received, all fees. Never changes but for new wallets. */
  totalMsat(): bigint;
  /** Fails if money was made or lost, or any balance is below zero. */
  assertConserved(): void;
  doublePayments(): DoublePayment[];
}

/** @internal An invoice as the network keeps it. */
export interface NetworkInvoice extends IssuedInvoice {
  readonly preimage: string;
  state: IssuedInvoice["state"];
  receivedMsat: bigint;
  timesPaid: number;
  decided: "settle" | "cancel" | undefined;
  readonly waiting: ((decision: "settle" | "cancel") => void)[];
}

/** @internal What a wallet sees of the network. */
export interface Rails {
  readonly clock: Clock;
  readonly seed: Buffer;
  find(invoice: string): NetworkInvoice | undefined;
  /** The payee takes the money; the network takes the fee. */
  deliver(invoice: NetworkInvoice, amountMsat: bigint, feeMsat: bigint): void;
}

/** Makes a network. */
export function createLightning(options: LightningOptions = {}): Lightning {
  const clock = options.clock ?? systemClock;
  const network = options.network ?? "regtest";
  const seed = derive(options.seed ?? randomBytes(32), "lightning");
  const byText = new Map<string, NetworkInvoice>();
  const nodes = new Map<string, LightningNode>();
  const wallets: SimWallet[] = [];
  let feesMsat = 0n;
  let mintedMsat = 0n;

  const rails: Rails = {
    clock,
    seed,
    find: (invoice) => byText.get(invoice.toLowerCase()),
    deliver(invoice, amountMsat, feeMsat) {
      invoice.receivedMsat += amountMsat;
      invoice.timesPaid += 1;
      invoice.state = "settled";
      feesMsat += feeMsat;
    },
  };

  const createNode = (name: string): LightningNode => {
    const privateKey = derive(seed, `node ${name}`);
    const ecdh = createECDH("secp256k1");
    ecdh.setPrivateKey(privateKey);
    const publicKey = ecdh.getPublicKey("hex", "compressed");
    const issued = new Map<string, NetworkInvoice>();
    let count = 0;

    const ours = (paymentHash: string): NetworkInvoice => {
      const invoice = issued.get(paymentHash);
      if (invoice === undefined) throw new Error(`node ${name} has no invoice ${paymentHash}`);
      return invoice;
    };
    const decide = (paymentHash: string, decision: "settle" | "cancel"): void => {
      const invoice = ours(paymentHash);
      if (!invoice.hold) throw new Error("it is not a hold invoice");
      invoice.decided = decision;
      if (decision === "cancel" && invoice.state !== "settled") invoice.state = "cancelled";
      for (const wake of invoice.waiting.splice(0)) wake(decision);
    };

    return {
      name,
      publicKey,
      invoice(fields) {
        count += 1;
        const preimage = fields.preimage ?? derive(seed, `preimage ${name} ${count}`).toString("hex");
        const paymentHash = sha256(Buffer.from(preimage, "hex")).toString("hex");
        const issuedAt = fields.issuedAt ?? clock.now();
        const timestamp = Math.floor(issuedAt / 1000);
        const expirySeconds = fields.expirySeconds ?? 3600;
        const { invoice } = signInvoice({
          network: fields.network ?? network,
          amountMsat: fields.amountMsat,
          paymentHash,
          paymentSecret: derive(seed, `secret ${name} ${count}`).toString("hex"),
          description: fields.description ?? "",
          timestamp,
          expirySeconds,
          privateKey,
        });
        const record: NetworkInvoice = {
          invoice,
          paymentHash,
          amountMsat: fields.amountMsat,
          description: fields.description ?? "",
          payee: publicKey,
          network: fields.network ?? network,
          issuedAt: timestamp * 1000,
          expiresAt: (timestamp + expirySeconds) * 1000,
          hold: fields.hold ?? false,
          state: "open",
          receivedMsat: 0n,
          timesPaid: 0,
          preimage,
          decided: undefined,
          waiting: [],
        };
        byText.set(invoice, record);
        issued.set(paymentHash, record);
        return record;
      },
      find: (paymentHash) => issued.get(paymentHash),
      isPaid: (paymentHash) => issued.get(paymentHash)?.state === "settled",
      preimageOf: (paymentHash) => ours(paymentHash).preimage,
      settleHold: (paymentHash) => decide(paymentHash, "settle"),
      cancelHold: (paymentHash) => decide(paymentHash, "cancel"),
      get receivedMsat() {
        return [...byText.values()].filter((invoice) => invoice.payee === publicKey).reduce((sum, invoice) => sum + invoice.receivedMsat, 0n);
      },
    };
  };

  const lightning: Lightning = {
    clock,
    network,
    wallets,
    get nodes() {
      return [...nodes.values()];
    },
    node(name) {
      const node = nodes.get(name) ?? createNode(name);
      nodes.set(name, node);
      return node;
    },
    wallet(walletOptions) {
      const wallet = createWallet(rails, walletOptions, wallets.length + 1);
      wallets.push(wallet);
      mintedMsat += wallet.balanceMsat;
      return wallet;
    },
    find: (invoice) => rails.find(invoice),
    get feesMsat() {
      return feesMsat;
    },
    get mintedMsat() {
      return mintedMsat;
    },
    totalMsat() {
      let total = feesMsat;
      for (const wallet of wallets) total += wallet.balanceMsat + wallet.inFlightMsat;
      for (const invoice of byText.values()) total += invoice.receivedMsat;
      return total;
    },
    assertConserved() {
      assert.equal(lightning.totalMsat(), mintedMsat, "money was made or lost");
      for (const wallet of wallets) {
        assert.ok(wallet.balanceMsat >= 0n, `wallet ${wallet.name} is below zero: ${wallet.balanceMsat} msat`);
        assert.ok(wallet.inFlightMsat >= 0n, `wallet ${wallet.name} has ${wallet.inFlightMsat} msat in flight`);
      }
    },
    doublePayments() {
      const times = new Map<string, { times: number; amountMsat: bigint }>();
      for (const invoice of byText.values()) {
        const entry = times.get(invoice.paymentHash) ?? { times: 0, amountMsat: 0n };
        times.set(invoice.paymentHash, { times: entry.times + invoice.timesPaid, amountMsat: entry.amountMsat + invoice.receivedMsat });
      }
      return [...times].filter(([, entry]) => entry.times > 1).map(([paymentHash, entry]) => ({ paymentHash, ...entry }));
    },
  };
  return lightning;
}
