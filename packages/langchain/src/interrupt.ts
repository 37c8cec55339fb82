/** Asking a person by LangGraph's own means. */
import type { PaymentIntent } from "@l402-tools/core";
import { approvalQuestion, type ApprovalQuestion } from "@l402-tools/core/tools";

/** Answers that are remembered; the oldest is forgotten. */
const ANSWERS_MAX = 1_000;

/** What the graph stops with. `problem`: why the answer before did not count. */
export type ApprovalInterrupt = ApprovalQuestion & { problem?: string };

/** What the graph is resumed with. It counts for the invoice of that payment hash alone. */
export interface ApprovalAnswer {
  paymentHash: string;
  approved: boolean;
}

/**
 * An `approve` for a client whose tools run in a LangGraph graph with a checkpointer: the graph stops with the question,
 * and goes on with the person's answer.
 *
 * @example
 * const client = new L402Client({ wallet, budgetSats: 2_000, approveAbove: 100, approve: interruptForApproval() });
 * // result.__interrupt__[0] has id and value; the answer repeats the payment hash of the value
 * await graph.invoke(new Command({ resume: { [id]: { paymentHash: value.paymentHash, approved: true } } }), config);
 *
 * While the graph stands still nothing is held. It goes on with the same invoice; if that has run out, or the process is
 * another one, the server is asked again, and so is the person. An answer counts for the payment that it names, whichever
 * question it came for.
 */
export function interruptForApproval(): (intent: PaymentIntent) => Promise<boolean> {
  // A node that runs several calls hands each answer to whichever asks next; whose it is, the answer says.
  const answers = new Map<string, boolean>();
  return async (intent) => {
    // Loaded here, since a client without a graph does not need it.
    const { interrupt } = await import("@langchain/langgraph");
    const question = approvalQuestion(intent);
    let problem: string | undefined;
    for (;;) {
      const given = answers.get(question.paymentHash);
      if (given !== undefined) return given;
      // Throws until there is an answer.
      const answer: unknown = interrupt<ApprovalInterrupt>(problem === undefined ? question : { ...question, problem });
      if (isAnswer(answer)) {
        if (answers.size >= ANSWERS_MAX) answers.delete(answers.keys().next().value as string);
        answers.set(answer.paymentHash, answer.approved);
        problem = answer.paymentHash === question.paymentHash ? undefined : "That was the answer to another payment.";
      } else problem = "The answer must be { paymentHash, approved }, with the payment hash of this question.";
    }
  };
}

function isAnswer(value: unknown): value is ApprovalAnswer {
  if (typeof value !== "object" || value === null) return false;
  const { paymentHash, approved } = value as { paymentHash?: unknown; approved?: unknown };
  return typeof paymentHash === "string" && typeof approved === "boolean";
}
