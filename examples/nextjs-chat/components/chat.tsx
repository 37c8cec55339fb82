"use client";
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } from "ai";
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { Suggestion } from "@/lib/catalogue";
import type { Budget, ChatMessage } from "@/lib/messages";
import { Send, Stop } from "./icons";
import { Message } from "./message";

interface ChatProps {
  readonly id: string;
  readonly initial: ChatMessage[];
  readonly suggestions: readonly Suggestion[];
  readonly onBudget: (budget: Budget) => void;
  readonly onMessages: (messages: ChatMessage[]) => void;
}

const firstQuestion = (): HTMLElement | null => document.querySelector("[data-question]");
const transport = new DefaultChatTransport<ChatMessage>({ api: "/api/chat" });

export function Chat({ id, initial, suggestions, onBudget, onMessages }: ChatProps) {
  const [draft, setDraft] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const end = useRef<HTMLDivElement>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const { messages, status, error, sendMessage, stop, clearError, addToolApprovalResponse } = useChat<ChatMessage>({
    id,
    messages: initial,
    transport,
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
    onData: (part) => {
      if (part.type === "data-l402-budget") onBudget(part.data);
    },
  });
  const busy = status === "submitted" || status === "streaming";
  const open = messages.at(-1)?.parts.filter((part) => part.type === "tool-l402_fetch" && part.state === "approval-requested").length ?? 0;
  const asked = open > 0;

  useEffect(() => {
    if (!busy && messages.length > 0) onMessages(messages);
  }, [busy, messages, onMessages]);

  // A reload may have come between the answer to a question and what it set going: go on with it.
  const resumed = useRef(false);
  useEffect(() => {
    if (resumed.current || !lastAssistantMessageIsCompleteWithApprovalResponses({ messages: initial })) return;
    resumed.current = true;
    void sendMessage();
  }, [initial, sendMessage]);

  useEffect(() => {
    end.current?.scrollIntoView({ block: "end" });
    firstQuestion()?.scrollIntoView({ block: "nearest" });
  }, [messages, status]);

  // A tall draft takes room from the conversation: whoever was at its end stays there.
  useEffect(() => {
    const log = scroll.current as HTMLDivElement;
    let height = log.clientHeight;
    const observer = new ResizeObserver(() => {
      if (log.scrollTop + height >= log.scrollHeight - 1) log.scrollTop = log.scrollHeight;
      height = log.clientHeight;
    });
    observer.observe(log);
    return () => observer.disconnect();
  }, []);

  // Whoever has nothing half written goes on where the question is, and then back; a phone's keyboard stays down.
  useEffect(() => {
    if (busy || field.current?.value !== "") return;
    if (open > 0) firstQuestion()?.focus({ preventScroll: true });
    else if (matchMedia("(pointer: fine)").matches) field.current.focus({ preventScroll: true });
  }, [busy, open]);

  const say = (text: string): void => {
    if (text.trim() === "" || busy || asked) return;
    if (error !== undefined) clearError();
    setDraft("");
    void sendMessage({ text: text.trim() });
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    say(draft);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    say(draft);
  };

  return (
    <main className="chat">
      <div className="scroll" ref={scroll} tabIndex={-1}>
        {messages.length === 0 ? (
          <Welcome suggestions={suggestions} onPick={say} />
        ) : (
          <div className="log" role="log" aria-label="Conversation" aria-live="polite" aria-busy={busy}>
            {messages.map((message, at) => (
              <Message key={message.id} message={message} live={busy && at === messages.length - 1} onAnswer={(approval, approved) => void addToolApprovalResponse({ id: approval, approved })} />
            ))}
            {busy && isWaiting(messages.at(-1)) && (
              <p className="typing">
                <span className="hidden">Thinking</span>
                <i />
                <i />
                <i />
              </p>
            )}
            {error !== undefined && (
              <p className="problem" role="alert">
                {error.message}
              </p>
            )}
          </div>
        )}
        <div ref={end} />
      </div>

      <form className="composer" onSubmit={submit}>
        <label className="hidden" htmlFor="draft">
          Your question
        </label>
        <textarea
          id="draft"
          ref={field}
          rows={1}
          value={draft}
          placeholder={asked ? "First answer the question above" : "Ask about weather, freight or a port"}
          onChange={(event) => setDraft(event.target.value)}
          onKeyDown={onKeyDown}
          autoComplete="off"
        />
        {busy ? (
          <button type="button" className="round" onClick={() => void stop()} aria-label="Stop">
            <Stop />
          </button>
        ) : (
          <button type="submit" className="round" disabled={draft.trim() === "" || asked} aria-label="Send">
            <Send />
          </button>
        )}
      </form>
    </main>
  );
}

/** Whether the model has yet to say the next thing. */
function isWaiting(message: ChatMessage | undefined): boolean {
  const last = message?.parts.at(-1);
  return message?.role === "user" || last === undefined || last.type === "step-start" || ("state" in last && last.state?.startsWith("output") === true && !("preliminary" in last && last.preliminary === true));
}

function Welcome({ suggestions, onPick }: { suggestions: ChatProps["suggestions"]; onPick: (text: string) => void }) {
  return (
    <div className="welcome">
      <h2>What do you want to know?</h2>
      <p>I look things up in paid data, and pay for it over Lightning. Small amounts I pay myself; for more I ask you.</p>
      <ul>
        {suggestions.map(({ text, price, what }) => (
          <li key={text}>
            <button type="button" onClick={() => onPick(text)}>
              <span>{text}</span>
              <small>
                <b>{price}</b> {what}
              </small>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
