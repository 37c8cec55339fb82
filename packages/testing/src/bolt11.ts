import bolt11 from "bolt11";

/** The networks whose invoices can be made. */
export type Network = "bitcoin" | "testnet" | "signet" | "regtest" | "simnet";

const PREFIX: Record<Network, string> = { bitcoin: "bc", testnet: "tb", signet: "tbs", regtest: "bcrt", simnet: "sb" };

/** Everything an invoice says. */
export interface InvoiceFields {
  network: Network;
  /** `undefined`: an invoice without an amount. */
  amountMsat: bigint | undefined;
  paymentHash: string;
  paymentSecret: string;
  description: string;
  /** Epoch seconds. */
  timestamp: number;
  expirySeconds: number;
  privateKey: Uint8Array;
}

/** A BOLT 11 invoice, signed. */
export function signInvoice(fields: InvoiceFields): { invoice: string; payee: string } {
  const unsigned = bolt11.encode(
    {
      network: { bech32: PREFIX[fields.network], pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] },
      timestamp: fields.timestamp,
      ...(fields.amountMsat === undefined ? {} : { millisatoshis: fields.amountMsat.toString() }),
      tags: [
        { tagName: "payment_hash", data: fields.paymentHash },
        { tagName: "payment_secret", data: fields.paymentSecret },
        { tagName: "description", data: fields.description },
        { tagName: "expire_time", data: fields.expirySeconds },
        { tagName: "min_final_cltv_expiry", data: 40 },
        {
          tagName: "feature_bits",
          data: {
            word_length: 4,
            var_onion_optin: { required: true, supported: false },
            payment_secret: { required: true, supported: false },
          },
        },
      ],
    },
    false,
  );
  const signed = bolt11.sign(unsigned, Buffer.from(fields.privateKey).toString("hex"));
  if (signed.paymentRequest === undefined || signed.payeeNodeKey === undefined) throw new Error("the invoice was not signed");
  return { invoice: signed.paymentRequest, payee: signed.payeeNodeKey };
}
