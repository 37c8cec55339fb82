/**
 * A person's yes, by elicitation. A tool call that needs one ends with a question; the host asks, and makes the call again
 * with the answer and with our signed note of what was asked. The answer counts for that very invoice alone.
 */
import type { L402Client, PaymentIntent } from "@l402-tools/core";
import { approvalQuestion } from "@l402-tools/core/tools";
import { CLIENT_CAPABILITIES_META_KEY, createRequestStateCodec, inputRequired, inputResponse, type ClientCapabilities, type InputRequiredResult, type McpServer, type RequestStateCodec, type ServerContext } from "@modelcontextprotocol/server";

/** What was asked, and for which call. The host can read it, and cannot change it. */
interface Asked {
  /** The purchase: MCP gives every round of a call another id. */
  readonly key: string;
  readonly paymentHash: string;
  readonly amountSats: number;
  readonly host: string;
  /** Progress that was told. */
  readonly step: number;
  /** When, in epoch ms. */
  readonly at: number;
}

/** One round of a tool call. */
export interface Round {
  readonly key: string;
  readonly step: number;
  /** Whether this payment was approved; `undefined`: it was not asked about. A no to another invoice is a no. */
  answerTo(intent: PaymentIntent): boolean | undefined;
  /** Why the person is asked again, if so. */
  readonly again: string;
}

/** A yes counts for this long. What the call bought under its key is found at any later time. */
const YES_MAX_MS = 600_000;
/** Our key lives no longer than the process. */
const NOTE_MAX_SECONDS = 1e9;
const QUESTION = "payment";

// A call may come back to another server object of the same client: over HTTP each request has its own.
const codecs: WeakMap<L402Client, RequestStateCodec<Asked>> = new WeakMap();

function codecOf(client: L402Client): RequestStateCodec<Asked> {
  let codec = codecs.get(client);
  if (codec === undefined) {
    codec = createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)), ttlSeconds: NOTE_MAX_SECONDS });
    codecs.set(client, codec);
  }
  return codec;
}

/** `undefined`: it carries a note that is not this process's, or was changed. */
export async function readRound(client: L402Client, ctx: ServerContext): Promise<Round | undefined> {
  const note = ctx.mcpReq.requestState();
  if (note === undefined) return { key: crypto.randomUUID(), step: 0, again: "", answerTo: () => undefined };
  const asked = await codecOf(client).verify(String(note), ctx).catch(() => undefined);
  if (asked === undefined) return undefined;
  const answer = inputResponse(ctx.mcpReq.inputResponses, QUESTION);
  const isLate = Date.now() - asked.at > YES_MAX_MS;
  return {
    key: asked.key,
    step: asked.step,
    again: isLate ? "Your answer came too late (after ten minutes). " : "The offer has changed since you were asked. ",
    answerTo({ paymentHash, amountSats, host }) {
      if (answer.kind !== "elicit") return undefined;
      if (answer.action !== "accept") return false;
      return !isLate && paymentHash === asked.paymentHash && amountSats === asked.amountSats && host === asked.host ? true : undefined;
    },
  };
}

/** Whether the host can put a form to its user. */
export function canAsk(server: McpServer, ctx: ServerContext): boolean {
  const envelope = ctx.mcpReq.envelope as Record<string, ClientCapabilities | undefined> | undefined;
  // oxlint-disable-next-line typescript/no-deprecated -- the only place where a connection of 2025 has them
  const declared = envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? server.server.getClientCapabilities();
  const { elicitation } = declared ?? {};
  return elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
}

/** Thrown in `approve`: the call ends with a question. */
export class OpenQuestion extends Error {
  override readonly name = "OpenQuestion";
  readonly intent: PaymentIntent;

  constructor(intent: PaymentIntent) {
    super("A person is asked.");
    this.intent = intent;
  }
}

/** The question as the result of a tool call. */
export async function ask(client: L402Client, ctx: ServerContext, { intent }: OpenQuestion, round: Round, step: number): Promise<InputRequiredResult> {
  const { paymentHash, amountSats, host } = intent;
  const { text } = approvalQuestion(intent);
  return inputRequired({
    inputRequests: {
      [QUESTION]: inputRequired.elicit({
        message: round.again + text,
        // Accept, decline and cancel are the answer.
        requestedSchema: { type: "object", properties: {} },
      }),
    },
    requestState: await codecOf(client).mint({ key: round.key, paymentHash, amountSats, host, step, at: Date.now() }, ctx),
  });
}
