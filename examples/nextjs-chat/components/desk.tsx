"use client";
import { useCallback, useEffect, useState } from "react";
import type { Suggestion } from "@/lib/catalogue";
import type { Budget, ChatMessage } from "@/lib/messages";
import { BudgetPanel } from "./budget";
import { Chat } from "./chat";
import { Bolt, Plus } from "./icons";
import { Receipts } from "./purchase";

interface DeskProps {
  readonly world: string;
  readonly chatId: string;
  readonly budget: Budget;
  readonly askAboveSats: number;
  readonly model: string;
  readonly suggestions: readonly Suggestion[];
}

interface Session {
  readonly id: string;
  readonly messages: ChatMessage[];
}

const KEPT = "l402-chat";

/** The page: header, chat, budget. The chat outlives a reload in this tab, as long as the server does. */
export function Desk({ world, chatId, budget: initial, askAboveSats, model, suggestions }: DeskProps) {
  const [session, setSession] = useState<Session>({ id: chatId, messages: [] });
  const [budget, setBudget] = useState(initial);

  useEffect(() => {
    const kept = recall(world);
    if (kept !== undefined) setSession(kept);
  }, [world]);

  // A payment goes on when its chat was left: what it holds is looked at until it is settled.
  useEffect(() => {
    if (budget.heldSats === 0) return undefined;
    const timer = setTimeout(() => void readBudget().then(setBudget, () => {}), 1_000);
    return () => clearTimeout(timer);
  }, [budget]);

  // Another tab may have bought something meanwhile, even what was refused in this one.
  useEffect(() => {
    const look = (): void => void readBudget().then(setBudget, () => {});
    addEventListener("focus", look);
    return () => removeEventListener("focus", look);
  }, []);

  const keep = useCallback((messages: ChatMessage[]): void => sessionStorage.setItem(KEPT, JSON.stringify({ world, id: session.id, messages })), [world, session.id]);
  const startOver = (): void => {
    sessionStorage.removeItem(KEPT);
    setSession({ id: crypto.randomUUID(), messages: [] });
  };

  return (
    <div className="desk">
      <header className="top">
        <span className="mark">
          <Bolt size={18} />
        </span>
        <div className="name">
          <h1>Harbour desk</h1>
          <p>{model} · simulated Lightning</p>
        </div>
        <button type="button" className="quiet" onClick={startOver}>
          <Plus /> <span>New chat</span>
        </button>
      </header>
      <BudgetPanel budget={budget} askAboveSats={askAboveSats} />
      <Receipts value={budget.receipts}>
        <Chat key={session.id} id={session.id} initial={session.messages} suggestions={suggestions} onBudget={setBudget} onMessages={keep} />
      </Receipts>
    </div>
  );
}

async function readBudget(): Promise<Budget> {
  return (await fetch("/api/budget")).json() as Promise<Budget>;
}

function recall(world: string): Session | undefined {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as (Session & { world: string }) | null;
    return kept?.world === world && kept.messages.length > 0 ? kept : undefined;
  } catch {
    return undefined;
  }
}
