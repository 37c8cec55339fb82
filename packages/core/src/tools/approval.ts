/** What a person is asked before a payment. */
import type { PaymentIntent } from "../types.ts";
import type { ApprovalQuestion } from "./tool.ts";
import { IN_URL, memo, plain, quoted } from "./words.ts";

/** The question about a payment, made harmless to show: the description is a stranger's, and so are host and path. */
export function approvalQuestion(intent: PaymentIntent): ApprovalQuestion {
  const { method, amountSats, maxFeeSats, remainingSats, paymentHash } = intent;
  const host = plain(intent.host, 253);
  const url = plain(intent.url, 300, IN_URL);
  // 33 bytes in hex, read from a checked signature; too long a run for `plain`.
  const payee = /^[0-9a-f]{66}$/.test(intent.payee) ? intent.payee : "unknown";
  const description = memo(intent.description);
  const text = [
    `Pay ${amountSats} sats to ${host}${maxFeeSats > 0 ? ` (and up to ${maxFeeSats} sats of routing fee)` : ""} for ${plain(method, 20)} ${quoted(intent.url, 300, IN_URL)}?`,
    description === "" ? "The seller does not say what it is for." : `The seller says it is for: ${quoted(description, 300)}.`,
    `Payee: node ${payee}.`,
    remainingSats === null ? "" : `${remainingSats} sats would remain of the budget.`,
  ];
  return {
    type: "l402_approval",
    host,
    method: plain(method, 20),
    url,
    amountSats,
    maxFeeSats,
    remainingSats,
    payee,
    description,
    paymentHash,
    expiresAt: new Date(intent.expiresAt).toISOString(),
    text: text.filter((sentence) => sentence !== "").join(" "),
  };
}
