/** A real NWC wallet service (Alby's), with the simulated money behind it. */
import { NWCWalletService, NWCWalletServiceKeyPair, type NWCWalletServiceRequestHandler, type Nip47Transaction } from "@getalby/sdk/nwc";
import { bytesToHex } from "nostr-tools/utils";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { startRelay, type Relay } from "./relay.ts";
import type { World } from "./world.ts";

export interface NwcService {
  readonly relay: Relay;
  readonly relays: readonly Relay[];
  readonly url: string;
  readonly walletSecret: string;
  readonly clientSecret: string;
  /** In place of the next answer to `pay_invoice`; the payment is not made. */
  nextPay: { result?: unknown; error?: { code: string; message: string } } | undefined;
  /** In place of answers to `lookup_invoice`. */
  lookup: { result?: unknown; error?: { code: string; message: string } } | undefined;
  /** The wallet pays, and its reply is lost. */
  mute: boolean;
  readonly paid: number;
  /** The wallet's own connection, which Alby's service does not make again. */
  serve(): Promise<void>;
  close(): Promise<void>;
}

const fail = (code: string, message: string): { result: undefined; error: { code: string; message: string } } => ({ result: undefined, error: { code, message } });

export async function startNwc(world: World, options: { relays?: number; methods?: string[]; info?: boolean } = {}): Promise<NwcService> {
  const relays: Relay[] = [];
  for (let index = 0; index < (options.relays ?? 1); index += 1) relays.push(await startRelay());
  const [relay] = relays as [Relay];
  const walletKey = generateSecretKey();
  const clientKey = generateSecretKey();
  const walletSecret = bytesToHex(walletKey);
  const clientSecret = bytesToHex(clientKey);
  let paid = 0;

  const never = new Promise<never>(() => {});
  const handlerWhile = (isOpen: () => boolean): NWCWalletServiceRequestHandler => ({
    async payInvoice({ invoice }) {
      const next = service.nextPay;
      service.nextPay = undefined;
      if (next !== undefined) return { result: next.result as never, error: next.error };
      paid += 1;
      const told = await world.pay(invoice);
      if (service.mute || !isOpen()) return never;
      // What Alby Hub answers.
      if (told.status === "already_paid") return fail("INTERNAL", "this invoice has already been paid");
      if (told.status === "pending") return fail("INTERNAL", "there is already a payment pending for this invoice");
      if (told.status === "settled") return { result: { preimage: told.preimage, fees_paid: Number(told.feeMsat) }, error: undefined };
      if (told.reason === "insufficient_balance") return fail("INSUFFICIENT_BALANCE", "Insufficient balance remaining to make the requested payment");
      if (told.reason === "invoice_expired") return fail("EXPIRED", "this invoice has expired");
      return fail("INTERNAL", "FAILURE_REASON_NO_ROUTE");
    },
    async lookupInvoice({ payment_hash: paymentHash = "" }) {
      if (service.lookup !== undefined) return { result: service.lookup.result as never, error: service.lookup.error };
      const state = await world.state(paymentHash);
      if (state.status === "not_found") return fail("NOT_FOUND", "The transaction requested was not found");
      const settled = state.status === "settled";
      const found = {
        type: "outgoing",
        state: { settled: "settled", in_flight: "pending", failed: "failed" }[state.status],
        invoice: state.invoice,
        payment_hash: paymentHash,
        amount: Number(state.amountMsat),
        fees_paid: Number(state.feeMsat),
        created_at: 1,
        ...(settled ? { preimage: state.preimage, settled_at: 2 } : {}),
      };
      return { result: found as unknown as Nip47Transaction, error: undefined };
    },
    async getBalance() {
      return { result: { balance: Number(world.sim.balanceMsat) }, error: undefined };
    },
  });

  let running: NWCWalletService[] = [];
  const stop = (): void => {
    for (const one of running.splice(0)) one.close();
  };
  const service: NwcService = {
    relay,
    relays,
    url: `nostr+walletconnect://${getPublicKey(walletKey)}?${relays.map(({ url }) => `relay=${encodeURIComponent(url)}`).join("&")}&secret=${clientSecret}`,
    walletSecret,
    clientSecret,
    nextPay: undefined,
    lookup: undefined,
    mute: false,
    get paid() {
      return paid;
    },
    async serve() {
      stop();
      const generation: NWCWalletService[] = [];
      running = generation;
      for (const { url } of relays) {
        const one = new NWCWalletService({ relayUrl: url });
        running.push(one);
        if (options.info !== false) await one.publishWalletServiceInfoEvent(walletSecret, (options.methods ?? ["pay_invoice", "lookup_invoice", "get_balance"]) as never, []);
        await one.subscribe(new NWCWalletServiceKeyPair(walletSecret, getPublicKey(clientKey)), handlerWhile(() => generation.includes(one)));
      }
    },
    async close() {
      stop();
      for (const one of relays) await one.close();
    },
  };
  await service.serve();
  return service;
}
