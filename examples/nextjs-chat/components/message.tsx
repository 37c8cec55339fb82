import type { ChatMessage, ChatPart, Question } from "@/lib/messages";
import { placeOf, sats } from "@/lib/format";
import { Tag, Wallet } from "./icons";
import { Prose } from "./prose";
import { Purchase } from "./purchase";

type OnAnswer = (approvalId: string, approved: boolean) => void;

/** `live`: the server is at work on it. */
export function Message({ message, live, onAnswer }: { message: ChatMessage; live: boolean; onAnswer: OnAnswer }) {
  if (message.parts.every(({ type }) => type === "step-start")) return null;
  const questions = new Map(message.parts.flatMap((part) => (part.type === "data-l402-approval" ? [[part.data.toolCallId, part.data] as const] : [])));
  const asked = message.parts.filter((part) => part.type === "tool-l402_fetch" && (part.state === "approval-requested" || (part.state === "approval-responded" && part.approval.approved))).length;
  return (
    <article className={`message ${message.role}`}>
      <h3 className="hidden">{message.role === "user" ? "You" : "Assistant"}</h3>
      {message.parts.map((part, at) => (
        <Part key={at} part={part} questions={questions} alone={asked === 1} live={live} onAnswer={onAnswer} />
      ))}
    </article>
  );
}

interface PartProps {
  readonly part: ChatPart;
  readonly questions: ReadonlyMap<string, Question>;
  /** No other purchase of the message waits for an answer, or for the answers to others. */
  readonly alone: boolean;
  readonly live: boolean;
  readonly onAnswer: OnAnswer;
}

function Part({ part, questions, alone, live, onAnswer }: PartProps) {
  switch (part.type) {
    case "text":
      return part.text === "" ? null : (
        <div className="prose">
          <Prose text={part.text} />
        </div>
      );
    case "tool-l402_fetch":
      return <Purchase part={part} question={questions.get(part.toolCallId)} alone={alone} live={live} onAnswer={onAnswer} />;
    case "tool-l402_quote": {
      const { path } = placeOf(part.input?.url);
      const price = part.state === "output-available" ? part.output.priceSats : undefined;
      return (
        <p className="note">
          <Tag /> {price === undefined ? `Asking what ${path} costs` : `Asked what ${path} costs: ${price === null ? "nothing" : sats(price)}`}
        </p>
      );
    }
    case "tool-l402_balance":
    case "tool-l402_spending_report":
      return (
        <p className="note">
          <Wallet /> {part.state === "output-available" ? "Looked at the budget" : "Looking at the budget"}
        </p>
      );
    default:
      return null;
  }
}
