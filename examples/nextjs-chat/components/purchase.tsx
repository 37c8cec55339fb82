import { createContext, type ReactNode, use } from "react";
import { digits, ends, placeOf, sats, sentence, timeOf } from "@/lib/format";
import type { Budget, FetchPart, Question } from "@/lib/messages";
import { Bolt, Check, Chevron, Cross } from "./icons";

/** What the ledger says was bought. */
export const Receipts = createContext<Budget["receipts"]>([]);

interface PurchaseProps {
  readonly part: FetchPart;
  readonly question: Question | undefined;
  /** No other purchase is asked about beside it. */
  readonly alone: boolean;
  /** The server is at work on it. */
  readonly live: boolean;
  readonly onAnswer: (approvalId: string, approved: boolean) => void;
}

/** One call of `l402_fetch`, from the price to the receipt. */
export function Purchase({ part, question, alone, live, onAnswer }: PurchaseProps) {
  const { host, path } = placeOf(part.input?.url);
  switch (part.state) {
    case "input-streaming":
    case "input-available":
      return live ? <Running path={path} step={1} /> : <Left path={path} />;
    case "approval-requested":
      return <Approval path={path} question={question} alone={alone} reason={part.approval.requestReason} onAnswer={(approved) => onAnswer(part.approval.id, approved)} />;
    case "approval-responded":
      if (!part.approval.approved) return <Declined path={path} question={question} />;
      if (live) return <Running path={path} step={3} amountSats={question?.amountSats} />;
      return <Outcome tone="good" title="You said yes" path={path} text="It is paid when the other question is answered, too." amount={question === undefined ? undefined : sats(question.amountSats)} />;
    case "output-denied":
      return <Declined path={path} question={question} />;
    case "output-error":
      return <Outcome tone="bad" title="It failed" path={path} text={part.errorText} />;
    case "output-available": {
      const { output } = part;
      if (part.preliminary === true || output.progress !== null) {
        if (!live) return <Left path={path} />;
        // What was answered is not waited for.
        const step = Math.max(output.progress?.step ?? 1, part.approval?.approved === true ? 3 : 1);
        return <Running path={path} step={step} amountSats={output.progress?.amountSats ?? question?.amountSats} />;
      }
      if (output.paidSats === 0 && output.error !== null) {
        const title = output.error.paid === "unknown" ? "Payment not known yet" : output.error.code === "budget_exceeded" ? "Beyond the budget" : "Not bought";
        return <Outcome tone="bad" title={title} path={path} text={sentence(output.error.message)} amount={output.error.paid === "unknown" ? `${digits(output.heldSats)} held` : "0 sats paid"} />;
      }
      return <Receipt path={path} host={host} output={output} question={question} />;
    }
  }
}

const STEPS = [
  { name: "Price", doing: "Asking for the price" },
  { name: "Approval", doing: "Waiting for a yes" },
  { name: "Payment", doing: "Paying" },
  { name: "Answer", doing: "Waiting for the answer" },
] as const;

/** What a running call waits for. */
function Running({ path, step, amountSats }: { path: string; step: number; amountSats?: number | undefined }) {
  return (
    <section className="card running" aria-label={`Purchase of ${path}`}>
      <Head icon={<span className="spinner" />} title={STEPS[step - 1]?.doing ?? ""} path={path} amount={amountSats === undefined ? undefined : sats(amountSats)} />
      <ol className="steps" aria-hidden="true">
        {STEPS.map(({ name }, at) => (
          <li key={name} data-state={at + 1 < step ? "done" : at + 1 === step ? "now" : "next"}>
            {name}
          </li>
        ))}
      </ol>
    </section>
  );
}

interface ApprovalProps {
  readonly path: string;
  readonly question: Question | undefined;
  readonly alone: boolean;
  readonly reason: string | undefined;
  readonly onAnswer: (approved: boolean) => void;
}

/** The question: how much, to whom, for what. What the seller says of it stands in quotation marks. */
function Approval({ path, question, alone, reason, onAnswer }: ApprovalProps) {
  const price = question === undefined ? "" : sats(question.amountSats);
  return (
    <section className="card approval" role="group" aria-label={`Approve ${price} for ${path}?`} tabIndex={-1} data-question data-testid="approval">
      {question === undefined ? (
        <p className="asking">{sentence(reason ?? "")}</p>
      ) : (
        <>
          <header className="asking">
            <span className="badge">
              <Bolt size={13} /> Needs your yes
            </span>
            <span className="faint">offer ends {timeOf(question.expiresAt)}</span>
          </header>
          <p className="price">
            <strong>{digits(question.amountSats)}</strong> sats <span className="faint">+ up to {digits(question.maxFeeSats)} fee</span>
          </p>
          <p className="purpose">“{question.description === "" ? "no description" : question.description}”</p>
          <dl className="facts">
            <dt>Seller</dt>
            <dd data-testid="host">{placeOf(question.url).host}</dd>
            <dt>Request</dt>
            <dd>
              {question.method} {placeOf(question.url).path}
            </dd>
            <dt>Payee</dt>
            <dd data-testid="payee" title={question.payee}>
              {ends(question.payee)}
            </dd>
            {question.remainingSats !== null && (
              <>
                <dt>{alone ? "Left after it" : "Left after it alone"}</dt>
                <dd>{sats(question.remainingSats)}</dd>
              </>
            )}
          </dl>
        </>
      )}
      <div className="answers">
        <button type="button" className="deny" onClick={() => onAnswer(false)}>
          Deny
        </button>
        <button type="button" className="approve" onClick={() => onAnswer(true)}>
          Approve {price}
        </button>
      </div>
    </section>
  );
}

/** The page stopped to wait; a payment that was on its way goes on. */
function Left({ path }: { path: string }) {
  return <Outcome tone="no" title="Stopped" path={path} text="The budget shows what was paid." />;
}

function Declined({ path, question }: { path: string; question: Question | undefined }) {
  const bought = use(Receipts).find(({ paymentHash }) => paymentHash === question?.paymentHash);
  if (bought !== undefined) return <Outcome tone="no" title="You said no here" path={path} text="It was bought by your yes in another tab." amount={<Price sats={bought.sats} fee={bought.feeSats} />} />;
  return <Outcome tone="no" title="You said no" path={path} amount={question === undefined ? "Not paid" : `${sats(question.amountSats)} not paid`} />;
}

function Outcome({ tone, title, path, text, amount }: { tone: "good" | "bad" | "no"; title: string; path: string; text?: string; amount?: ReactNode }) {
  return (
    <section className={`card outcome ${tone}`} aria-label={`Purchase of ${path}`} data-testid={tone === "good" ? undefined : "refusal"}>
      <Head icon={tone === "good" ? <Check /> : <Cross />} title={title} path={path} amount={amount} />
      {text !== undefined && <p className="why">{text}</p>}
    </section>
  );
}

type FetchOutput = Extract<FetchPart, { state: "output-available" }>["output"];

function Receipt({ path, host, output, question }: { path: string; host: string; output: FetchOutput; question: Question | undefined }) {
  const { paidSats, feeSats, reused, status, contentType, totalChars, paymentHash } = output;
  const receipts = use(Receipts);
  // The page may have been left while its own question was paid for.
  const own = reused && question?.paymentHash === paymentHash ? question : undefined;
  const paid = paidSats > 0 || own !== undefined;
  const price = own?.amountSats ?? paidSats;
  const fee = own === undefined ? feeSats : (receipts.find((receipt) => receipt.paymentHash === paymentHash)?.feeSats ?? 0);
  const title = paid ? "Bought" : reused ? "Bought before" : "Free";
  return (
    <details className="card receipt" data-testid="receipt" data-paid={price} data-fee={fee}>
      <summary>
        <Head
          icon={<Check />}
          title={title}
          path={path}
          amount={paid ? <Price sats={price} fee={fee} /> : "0 sats"}
        />
        <Chevron />
      </summary>
      <dl className="facts">
        <dt>Seller</dt>
        <dd>{host}</dd>
        {question !== undefined && (
          <>
            <dt>For</dt>
            <dd className="words">“{question.description}”</dd>
            <dt>Payee</dt>
            <dd title={question.payee}>{ends(question.payee)}</dd>
          </>
        )}
        {paymentHash !== null && (
          <>
            <dt>Payment hash</dt>
            <dd title={paymentHash}>{ends(paymentHash)}</dd>
          </>
        )}
        <dt>Answer</dt>
        <dd>
          HTTP {status}
          {contentType === null ? "" : `, ${contentType}`}
          {totalChars === null ? "" : `, ${digits(totalChars)} characters`}
        </dd>
      </dl>
    </details>
  );
}

function Price({ sats: amount, fee }: { sats: number; fee: number }) {
  return (
    <>
      {sats(amount)} {fee > 0 && <span className="faint">+ {digits(fee)} fee</span>}
    </>
  );
}

function Head({ icon, title, path, amount }: { icon: ReactNode; title: string; path: string; amount?: ReactNode }) {
  return (
    <header className="head">
      <span className="disc">{icon}</span>
      <span className="what">
        <strong>{title}</strong>
        <span className="path">{path}</span>
      </span>
      {amount !== undefined && <span className="amount">{amount}</span>}
    </header>
  );
}
