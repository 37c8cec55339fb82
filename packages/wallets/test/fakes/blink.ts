/** Blink: graphql-js executes the project's part of the schema, so that every document is validated, and every answer. */
import { readFileSync } from "node:fs";
import { buildSchema, execute, Kind, parse, validate } from "graphql";
import { json, serveFake, type Answer, type Asked, type FakeServer } from "./server.ts";
import type { World } from "./world.ts";

export const API_KEY = "blink_TestKeyThatMustNeverBeShown0123456789";
export const WALLET_ID = "8c1b7a36-4d3c-4f0e-9b6d-0a6f2e5d1c00";

const schema = buildSchema(readFileSync(new URL("../blink.graphql", import.meta.url), "utf8"));

/** A payload of `lnInvoicePaymentSend`. */
export interface SendPayload {
  readonly status?: string | null;
  readonly errors: readonly { code?: string; message: string }[];
  readonly transaction?: object | null;
}

export interface FakeBlink extends FakeServer {
  /** In place of what the next payment would be answered; the payment is not made. */
  nextSend: SendPayload | undefined;
  /** In place of the rows of look-ups. */
  rows: object[] | undefined;
  /** In place of the next probe. */
  nextProbe: { amount: number | null; errors: readonly { code?: string; message: string }[] } | undefined;
  /** What the payee's own invoice tells, if the payee is a user of Blink. */
  intraledgerPreimage: string | undefined;
  /** Operations that were executed, by name. */
  readonly operations: string[];
}

export function row(fields: { status?: string; direction?: string; amount: number; fee?: number; preImage?: string | null; via?: string; currency?: string; id?: string }): object {
  return {
    __typename: "Transaction",
    id: fields.id ?? "tx-1",
    status: fields.status ?? "SUCCESS",
    direction: fields.direction ?? "SEND",
    settlementAmount: fields.amount,
    settlementFee: fields.fee ?? 0,
    settlementCurrency: fields.currency ?? "BTC",
    settlementVia: { __typename: fields.via ?? "SettlementViaLn", preImage: fields.preImage ?? null },
  };
}

const SAT = 1000n;
const failure = (code: string, message: string): SendPayload => ({ status: "FAILURE", errors: [{ code, message }], transaction: null });

export async function fakeBlink(world: World): Promise<FakeBlink> {
  const shown: Omit<FakeBlink, keyof FakeServer> = { nextSend: undefined, rows: undefined, nextProbe: undefined, intraledgerPreimage: undefined, operations: [] };
  const withErrors = <T extends { errors: readonly object[] }>(payload: T): T => ({ ...payload, errors: payload.errors.map((error) => ({ __typename: "GraphQLApplicationError", path: [], ...error })) });
  const sentRow = (state: { amountMsat: bigint; feeMsat: bigint; preimage: string }, status: string): object =>
    row({ status, amount: -Number((state.amountMsat + state.feeMsat) / SAT), fee: Number(state.feeMsat / SAT), preImage: status === "SUCCESS" ? state.preimage : null });

  const send = async ({ paymentRequest }: { paymentRequest: string }): Promise<SendPayload> => {
    const next = shown.nextSend;
    shown.nextSend = undefined;
    if (next !== undefined) return next;
    const found = world.lightning.find(paymentRequest);
    // A scalar that cannot be read: neither status nor code.
    if (found === undefined) return { status: null, errors: [{ message: "Invalid value for LnPaymentRequest" }], transaction: null };
    const told = await world.pay(paymentRequest);
    if (told.status === "pending") return failure("INVALID_INPUT", "There is a pending payment for this invoice");
    if (told.status === "already_paid") return { status: "ALREADY_PAID", errors: [], transaction: sentRow(await world.state(told.paymentHash), "SUCCESS") };
    if (told.status === "settled") return { status: "SUCCESS", errors: [], transaction: sentRow(told, "SUCCESS") };
    if (told.reason === "insufficient_balance") return failure("INSUFFICIENT_BALANCE", "Payment amount exceeds balance");
    if (told.reason === "invoice_expired") return failure("LIGHTNING_PAYMENT_ERROR", "Invoice already expired, or has bad payment hash");
    return failure("ROUTE_FINDING_ERROR", "Unable to find a route for payment.");
  };

  const root = {
    lnInvoicePaymentSend: async ({ input }: { input: { paymentRequest: string; walletId: string } }) => withErrors(await send(input)),
    lnInvoiceFeeProbe: ({ input }: { input: { paymentRequest: string } }) => {
      const next = shown.nextProbe;
      shown.nextProbe = undefined;
      if (next !== undefined) return withErrors(next);
      const found = world.lightning.find(input.paymentRequest);
      if (found === undefined) return withErrors({ amount: null, errors: [{ message: "Invalid value for LnPaymentRequest" }] });
      return { amount: 2, errors: [] };
    },
    lnInvoicePaymentStatusByHash: () => ({ status: shown.intraledgerPreimage === undefined ? "PENDING" : "PAID", paymentPreimage: shown.intraledgerPreimage ?? null }),
    me: {
      defaultAccount: {
        __typename: "ConsumerAccount",
        walletById: ({ walletId }: { walletId: string }) => {
          if (walletId !== WALLET_ID) throw new Error("Invalid walletId");
          return {
            __typename: "BTCWallet",
            walletCurrency: "BTC",
            balance: Number(world.sim.balanceMsat / SAT),
            transactionsByPaymentHash: async ({ paymentHash }: { paymentHash: string }) => {
              if (shown.rows !== undefined) return shown.rows;
              const state = await world.state(paymentHash);
              if (state.status === "not_found") return [];
              // The newest first; a failed attempt has its credit beside it.
              if (state.status === "failed") return [row({ direction: "RECEIVE", status: "SUCCESS", amount: 12, id: "tx-2" }), sentRow(state, "FAILURE")];
              return [sentRow(state, state.status === "settled" ? "SUCCESS" : "PENDING")];
            },
          };
        },
      },
    },
  };

  const isPay = (asked: Asked): boolean => asked.body.includes("lnInvoicePaymentSend");
  const server: FakeServer = await serveFake(
    async (asked): Promise<Answer> => {
      if (asked.headers["x-api-key"] !== API_KEY) return json(401, { error: `invalid key ${String(asked.headers["x-api-key"])}` });
      const { query, variables } = JSON.parse(asked.body) as { query: string; variables: Record<string, unknown> };
      const document = parse(query);
      const wrong = validate(schema, document);
      if (wrong.length > 0) return json(400, { errors: wrong.map(({ message }) => ({ message, code: "GRAPHQL_VALIDATION_FAILED" })) });
      const [definition] = document.definitions;
      if (definition?.kind === Kind.OPERATION_DEFINITION) shown.operations.push(definition.name?.value ?? "");
      const result = await execute({ schema, document, rootValue: root, variableValues: variables });
      // The code stands beside the message, not in the extensions.
      return json(200, { data: result.data ?? null, ...(result.errors === undefined ? {} : { errors: result.errors.map(({ message }) => ({ message, code: "UNKNOWN_CLIENT_ERROR" })) }) });
    },
    isPay,
  );
  // What a test sets on the server is read here.
  for (const name of Object.keys(shown) as (keyof typeof shown)[]) {
    Object.defineProperty(server, name, {
      get: () => shown[name],
      set(value: never) {
        shown[name as "rows"] = value;
      },
    });
  }
  return server as FakeBlink;
}
