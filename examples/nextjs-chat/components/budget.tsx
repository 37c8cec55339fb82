"use client";
import { useState } from "react";
import { digits, sats, timeOf } from "@/lib/format";
import type { Budget } from "@/lib/messages";
import { Chevron } from "./icons";

export function BudgetPanel({ budget, askAboveSats }: { budget: Budget; askAboveSats: number }) {
  const [open, setOpen] = useState(false);
  const { totalSats, spentSats, heldSats, remainingSats, receipts } = budget;
  const width = (amount: number): { width: string } => ({ width: `${totalSats === 0 ? 0 : Math.min(100, (amount / totalSats) * 100)}%` });
  const said = `${sats(spentSats)} spent, ${sats(heldSats)} held, ${sats(remainingSats)} left of ${digits(totalSats)}`;
  return (
    <aside className="panel" aria-label="Budget">
      <section className="budget" data-testid="budget" data-spent={spentSats} data-held={heldSats} data-remaining={remainingSats} data-total={totalSats}>
        <h2 className="label">Budget</h2>
        <p className="left">
          <strong>{digits(remainingSats)}</strong> <span>left of {sats(totalSats)}</span>
        </p>
        <div className="bar" role="meter" aria-label="Budget" aria-valuemin={0} aria-valuemax={totalSats} aria-valuenow={spentSats + heldSats} aria-valuetext={said}>
          <span className="spent" style={width(spentSats)} />
          <span className="held" style={width(heldSats)} />
        </div>
        <button type="button" className="more" aria-expanded={open} aria-controls="budget-details" onClick={() => setOpen(!open)}>
          <span className="hidden">Budget details</span>
          <Chevron />
        </button>
        <p className="hidden" role="status">
          {said}
        </p>
      </section>

      <div className="details" id="budget-details" data-open={open}>
        <dl className="legend">
          <div>
            <dt>
              <i className="dot spent" /> Spent
            </dt>
            <dd>{digits(spentSats)}</dd>
          </div>
          <div>
            <dt>
              <i className="dot held" /> Held
            </dt>
            <dd>{digits(heldSats)}</dd>
          </div>
          <div>
            <dt>
              <i className="dot" /> Left
            </dt>
            <dd>{digits(remainingSats)}</dd>
          </div>
        </dl>

        <section>
          <h2 className="label">Rules</h2>
          <ul className="rules">
            <li>Up to {sats(askAboveSats)}: paid without a question</li>
            <li>Above: you decide, on the exact invoice</li>
            <li>Never beyond {sats(totalSats)}, fees included</li>
          </ul>
        </section>

        <section>
          <h2 className="label">Receipts</h2>
          {receipts.length === 0 && <p className="none">Nothing bought yet.</p>}
          <ul className="receipts">
            {receipts.toReversed().map(({ path, sats: price, feeSats, at, paymentHash }) => (
              <li key={paymentHash}>
                <span className="path">{path}</span>
                <span className="amount">{sats(price)}</span>
                <time className="faint" dateTime={new Date(at).toISOString()} suppressHydrationWarning>
                  {timeOf(at)}
                </time>
                <span className="faint fee">+ {digits(feeSats)} fee</span>
              </li>
            ))}
          </ul>
        </section>
        <p className="small">The Lightning network is simulated: no real money moves.</p>
      </div>
    </aside>
  );
}
