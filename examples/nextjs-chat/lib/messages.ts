/** What goes over the wire between page and server. */
import type { ApprovalQuestion, l402Tools } from "@l402-tools/ai-sdk";
import type { InferUITools, UIMessage } from "ai";

export interface Receipt {
  readonly path: string;
  readonly sats: number;
  readonly feeSats: number;
  /** Epoch ms. */
  readonly at: number;
  readonly paymentHash: string;
}

/** In sats. */
export interface Budget {
  readonly totalSats: number;
  readonly spentSats: number;
  readonly heldSats: number;
  readonly remainingSats: number;
  /** Oldest first. */
  readonly receipts: readonly Receipt[];
}

export type Question = ApprovalQuestion & { readonly toolCallId: string };

export type ChatMessage = UIMessage<never, { "l402-approval": Question; "l402-budget": Budget }, InferUITools<ReturnType<typeof l402Tools>>>;
export type ChatPart = ChatMessage["parts"][number];
export type FetchPart = Extract<ChatPart, { type: "tool-l402_fetch" }>;
