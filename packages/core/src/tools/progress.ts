/** What a call waits for, told to whoever shows it. */
import { tell } from "../events.ts";
import type { CallWait } from "../request.ts";
import type { ToolContext, ToolProgress } from "./tool.ts";
import { plain } from "./words.ts";

const STEPS = ["price", "approval", "payment", "body"] as const;

/** Tells the steps of one call, each once, in rising order; a purchase that starts over is not told again. */
export function progressOf(host: string, onProgress: ToolContext["onProgress"]): (stage: ToolProgress["stage"], wait?: CallWait) => void {
  let last = 0;
  let paying: CallWait | undefined;
  return (stage, wait) => {
    const step = STEPS.indexOf(stage) + 1;
    if (step <= last) return;
    last = step;
    // What is read was not paid for by this call, unless the engine says so.
    paying = stage === "body" ? wait : (wait ?? paying);
    const amountSats = paying?.amountSats ?? null;
    tell(onProgress, { type: "l402_progress", tool: "l402_fetch", stage, step, host: plain(host, 253), amountSats, paymentHash: paying?.paymentHash ?? null, message: messageOf(stage, plain(host, 253), amountSats) });
  };
}

function messageOf(stage: ToolProgress["stage"], host: string, amountSats: number | null): string {
  switch (stage) {
    case "price":
      return `Asking ${host}.`;
    case "approval":
      return `${host} asks ${amountSats} sats: waiting for a yes.`;
    case "payment":
      return `Paying ${amountSats} sats to ${host}.`;
    case "body":
      return amountSats === null ? `Reading the answer of ${host}.` : `Paid ${amountSats} sats; waiting for the answer of ${host}.`;
  }
}
