/** LND's REST interface with all rights: what the tests do beside the wallet. */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";

export type Json = { readonly [name: string]: unknown };

/** One JSON call over TLS, with the service's own certificate. @throws for a status that is not 200. */
export function call(url: string, options: { ca: string; agent?: Agent; method?: string; headers?: Record<string, string>; body?: unknown }): Promise<Json> {
  const { ca, agent, method = "GET", headers, body } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, ca, ...(agent === undefined ? {} : { agent }), headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) } }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (part: string) => (text += part));
      incoming.once("error", reject);
      incoming.once("end", () => (incoming.statusCode === 200 ? resolve(JSON.parse(text) as Json) : reject(new Error(`${method} ${new URL(url).pathname}: HTTP ${incoming.statusCode} ${text.slice(0, 300)}`))));
    });
    outgoing.once("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export type NodeName = "alice" | "bob" | "carol";

/** Where a node is, and its files. */
export interface NodeFacts {
  readonly name: NodeName;
  readonly url: string;
  /** Host and port of its gRPC interface, which lncli and Aperture use. */
  readonly grpc: string;
  /** Host and port for other nodes. */
  readonly peer: string;
  /** Path of tls.cert. */
  readonly cert: string;
  /** Folder of the macaroons. */
  readonly macaroons: string;
}

/** A payment in LND's own list. */
export interface ListedPayment {
  readonly paymentHash: string;
  readonly status: string;
  readonly reason: string;
  readonly preimage: string;
  readonly valueMsat: bigint;
  readonly feeMsat: bigint;
}

export type InvoiceState = "OPEN" | "ACCEPTED" | "SETTLED" | "CANCELED";

export interface Invoice {
  readonly paymentHash: string;
  readonly bolt11: string;
}

const base64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");
const urlBase64 = (hex: string): string => encodeURIComponent(base64(hex).replaceAll("+", "-").replaceAll("/", "_"));

export class LndNode {
  readonly facts: NodeFacts;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(facts: NodeFacts) {
    this.facts = facts;
  }

  get cert(): string {
    return readFileSync(this.facts.cert, "utf8");
  }

  macaroon(file: string): string {
    return readFileSync(`${this.facts.macaroons}/${file}`).toString("hex");
  }

  get(path: string): Promise<Json> {
    return call(`${this.facts.url}${path}`, { ca: this.cert, agent: this.#agent, headers: { "grpc-metadata-macaroon": this.macaroon("admin.macaroon") } });
  }

  post(path: string, body: unknown): Promise<Json> {
    return call(`${this.facts.url}${path}`, { ca: this.cert, agent: this.#agent, method: "POST", headers: { "grpc-metadata-macaroon": this.macaroon("admin.macaroon") }, body });
  }

  /** `SERVER_ACTIVE` once it can pay. Needs no macaroon. */
  async state(): Promise<string> {
    return String((await call(`${this.facts.url}/v1/state`, { ca: this.cert }))["state"]);
  }

  async publicKey(): Promise<string> {
    return String((await this.get("/v1/getinfo"))["identity_pubkey"]);
  }

  /** Connects to another node, and does so again when it can be reached again. */
  async connect(to: LndNode): Promise<void> {
    await this.post("/v1/peers", { addr: { pubkey: await to.publicKey(), host: to.facts.peer }, perm: true });
  }

  async invoice(fields: { valueMsat: bigint; expirySeconds?: number; memo?: string }): Promise<Invoice> {
    const made = await this.post("/v1/invoices", { value_msat: String(fields.valueMsat), memo: fields.memo ?? "regtest", ...(fields.expirySeconds === undefined ? {} : { expiry: String(fields.expirySeconds) }) });
    return { paymentHash: Buffer.from(String(made["r_hash"]), "base64").toString("hex"), bolt11: String(made["payment_request"]) };
  }

  /** An invoice that is paid only when `settle` is called with its preimage. */
  async holdInvoice(fields: { paymentHash: string; valueMsat: bigint }): Promise<Invoice> {
    const made = await this.post("/v2/invoices/hodl", { hash: base64(fields.paymentHash), value_msat: String(fields.valueMsat), memo: "regtest" });
    return { paymentHash: fields.paymentHash, bolt11: String(made["payment_request"]) };
  }

  async settle(preimage: string): Promise<void> {
    await this.post("/v2/invoices/settle", { preimage: base64(preimage) });
  }

  async cancel(paymentHash: string): Promise<void> {
    await this.post("/v2/invoices/cancel", { payment_hash: base64(paymentHash) });
  }

  async invoiceState(paymentHash: string): Promise<InvoiceState> {
    return String((await this.get(`/v2/invoices/lookup?payment_hash=${urlBase64(paymentHash)}`))["state"]) as InvoiceState;
  }

  /** All payments from this index on, and the index of the last one. */
  async payments(after = "0"): Promise<{ payments: ListedPayment[]; last: string }> {
    const listed = await this.get(`/v1/payments?include_incomplete=true&index_offset=${after}`);
    const payments = (listed["payments"] as Json[]).map((payment) => ({
      paymentHash: String(payment["payment_hash"]),
      status: String(payment["status"]),
      reason: String(payment["failure_reason"]),
      preimage: String(payment["payment_preimage"]),
      valueMsat: BigInt(String(payment["value_msat"])),
      feeMsat: BigInt(String(payment["fee_msat"])),
    }));
    return { payments, last: payments.length === 0 ? after : String(listed["last_index_offset"]) };
  }

  async channels(): Promise<Json[]> {
    return (await this.get("/v1/channels"))["channels"] as Json[];
  }

  /** What its channels have on its side, msat. */
  async channelBalanceMsat(): Promise<bigint> {
    return BigInt(String(((await this.get("/v1/balance/channels"))["local_balance"] as Json)["msat"]));
  }
}
