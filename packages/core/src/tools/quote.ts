/** `l402_quote`: the price of a request, without paying it. */
import type { L402Client } from "../client.ts";
import { HOOKS, type CallHooks } from "../request.ts";
import { readArguments, quoteInput, readRequest, type QuoteInput } from "./arguments.ts";
import { readToolOptions, transportOf, type ToolOptions } from "./options.ts";
import { roomOf } from "./room.ts";
import type { L402Tool, QuoteResult, ToolError } from "./tool.ts";
import { invalidArguments, lines, memo, nextStep, plain, quoted, remainingLine, throwOn, toolErrorOf } from "./words.ts";

export type QuoteTool = L402Tool<"l402_quote", QuoteInput, QuoteResult>;

const DESCRIPTION = `Asks what a request would cost and pays nothing: price in sats, payee, and how long the offer stands.
Use it before l402_fetch when the price is not known or matters. The request itself is sent, so a POST that turns out to be free may already have its effect. The price is for now; pass it to l402_fetch as maxPriceSats to pay no more.`;

/** The tool `l402_quote`. @throws {L402Error} `invalid_options`, naming the option. */
export function quoteTool(client: L402Client, options?: ToolOptions): QuoteTool {
  const settings = readToolOptions(options);
  const inputSchema = quoteInput();
  return {
    name: "l402_quote",
    title: "Ask for a price",
    description: DESCRIPTION,
    inputSchema,
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
    renderForModel: renderQuote,

    async execute(input, { signal, rethrow } = {}) {
      const given = readArguments(inputSchema, input);
      if (typeof given === "string") return result(client, undefined, { error: invalidArguments(given) });
      const request = readRequest(given);
      if (typeof request === "string") return result(client, undefined, { error: invalidArguments(request) });
      try {
        signal?.throwIfAborted();
        const transport = await transportOf(client, settings);
        const init = { ...request.init, ...(signal === undefined ? {} : { signal }), [HOOKS]: { transport } satisfies CallHooks };
        const quote = await client.quote(request.url.href, init);
        if (quote === null) return await result(client, request.url, {});
        return await result(client, request.url, {
          priceSats: quote.amountSats,
          priceMsat: quote.amountMsat,
          payee: quote.payee,
          description: memo(quote.description),
          expiresAt: new Date(quote.expiresAt).toISOString(),
          paymentHash: quote.paymentHash,
        });
      } catch (error) {
        throwOn(error, rethrow);
        return result(client, request.url, { error: toolErrorOf(error, signal) });
      }
    },
  };
}

async function result(client: L402Client, url: URL | undefined, found: Partial<QuoteResult> & { error?: ToolError }): Promise<QuoteResult> {
  const none = { priceSats: null, priceMsat: null, payee: null, description: null, expiresAt: null, paymentHash: null, error: null };
  return { tool: "l402_quote", ok: found.error === undefined, url: url?.href ?? "", ...none, ...(await roomOf(client, url)), ...found };
}

/** The text of a quote for the model. */
export function renderQuote(quote: QuoteResult): string {
  const remaining = remainingLine(quote.remainingSats, quote.remainingForHostSats);
  if (quote.error !== null) return lines(`[Not paid] ${plain(quote.error.message, 700)}`, nextStep(quote.error), remaining);
  if (quote.priceSats === null) return lines("[Not paid] No L402 payment is asked for this request: it is free, or not sold this way.", "l402_fetch will not pay for it.", remaining);
  const rooms = [quote.remainingSats, quote.remainingForHostSats].filter((room) => typeof room === "number");
  const price = quote.priceSats;
  return lines(
    `[Not paid] Price: ${price} sats`,
    rooms.some((room) => room < price) ? "That is more than remains of the budget." : `To buy it, call l402_fetch with the same arguments and "maxPriceSats": ${price}.`,
    remaining,
    `Payee: node ${/^[0-9a-f]{66}$/.test(String(quote.payee)) ? quote.payee : "unknown"}. The offer stands until ${plain(quote.expiresAt, 30)}.`,
    quote.description === null || quote.description === "" ? "" : `The invoice calls itself, in the words of its issuer: ${quoted(quote.description, 300)}`,
  );
}
