/** `l402_balance`: what is left of the budget. */
import type { L402Client } from "../client.ts";
import { describeLimit } from "../errors.ts";
import { noInput, type NoInput } from "./arguments.ts";
import type { BalanceResult, L402Tool } from "./tool.ts";
import { lines, plain, toolErrorOf } from "./words.ts";

export type BalanceTool = L402Tool<"l402_balance", NoInput, BalanceResult>;

const DESCRIPTION = `Tells how many sats remain of the budget that l402_fetch spends from, what was spent, what is held for payments under way, and the limits per host or time. Spends nothing and asks no server.
Use it before a purchase, or when a call was refused. For single payments use l402_spending_report.`;

/** The tool `l402_balance`. */
export function balanceTool(client: L402Client): BalanceTool {
  return {
    name: "l402_balance",
    title: "Remaining budget",
    description: DESCRIPTION,
    inputSchema: noInput(),
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    renderForModel: renderBalance,

    async execute() {
      const none = { tool: "l402_balance", configured: client.spendingReport() !== null, totalSats: null, spentSats: 0, heldSats: 0, remainingSats: null, limits: [] } as const;
      if (!none.configured) return { ...none, ok: true, limits: [], error: null };
      try {
        const { totalSats, spentSats, heldSats, remainingSats, limits } = await client.balance();
        return {
          ...none, ok: true, totalSats, spentSats, heldSats, remainingSats, error: null,
          limits: limits.map((limit) => ({
            sats: limit.sats ?? null,
            payments: limit.payments ?? null,
            domain: limit.domain ?? null,
            per: limit.per ?? null,
            spentSats: limit.spentSats,
            heldSats: limit.heldSats,
            remainingSats: limit.remainingSats ?? null,
            remainingPayments: limit.remainingPayments ?? null,
          })),
        };
      } catch (error) {
        return { ...none, ok: false, limits: [], error: toolErrorOf(error) };
      }
    },
  };
}

/** The text of a balance for the model. */
export function renderBalance(balance: BalanceResult): string {
  if (balance.error !== null) return `The budget cannot be read now: ${plain(balance.error.message, 700)}`;
  if (!balance.configured) return "No budget configured.";
  const { totalSats, spentSats, heldSats, remainingSats } = balance;
  const total = totalSats === null ? (remainingSats === null ? "no total limit" : `${remainingSats} sats remaining`) : `${remainingSats} sats remaining of ${totalSats} total`;
  const others = balance.limits.filter(({ domain, per, payments }) => domain !== null || per !== null || payments !== null);
  return lines(
    `Budget: ${total} (spent: ${spentSats} sats)`,
    heldSats > 0 ? `Held for payments under way or not yet resolved: ${heldSats} sats (not in what remains).` : "",
    ...others.slice(0, 50).map(({ sats, payments, domain, per, spentSats, heldSats, remainingSats, remainingPayments }) => {
      const limit = describeLimit({ ...(sats === null ? {} : { sats }), ...(payments === null ? {} : { payments }), ...(domain === null ? {} : { domain }), ...(per === null ? {} : { per }) });
      const left = [...(remainingSats === null ? [] : [`${remainingSats} sats`]), ...(remainingPayments === null ? [] : [`${remainingPayments} payments`])].join(" and ");
      return `Limit of ${plain(limit, 300)}: ${left} remaining (spent: ${spentSats} sats${heldSats > 0 ? `, held: ${heldSats} sats` : ""})`;
    }),
    others.length > 50 ? `And ${others.length - 50} more limits.` : "",
  );
}
