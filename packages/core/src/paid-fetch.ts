/**
 * The line: one paid fetch, top to bottom. `paidFetch` is the HTTP side of it, and `buy` in buy.ts the money side; each
 * call in them is a step with a file of its own, and nothing outside can reorder them.
 */
import { ask } from "./ask.ts";
import { L402Error } from "./errors.ts";
import { paying, type Line, type Offer } from "./line.ts";
import type { L402RequestInit } from "./options.ts";
import { authorizeHost } from "./policy.ts";
import { captureCall } from "./request.ts";
import type { Wait } from "./reserve.ts";

/**
 * One paid fetch: asks; pays if it must and may; asks again with the credential.
 *
 * @throws {L402Error} whose `paid` says whether money moved. @throws what `fetch` throws, while nothing was sent to a wallet.
 */
export async function paidFetch(line: Line, input: string | URL | Request, init?: L402RequestInit): Promise<Response> {
  if (line.state.closed) throw new L402Error("store_unavailable", "This client is closed; make a new one.");
  const call = await captureCall(input, init);
  authorizeHost(line.rules, call.first.url); //                         PolicyError                       paid: "no"

  let known: Offer | undefined;
  if (call.idempotencyKey !== undefined || call.quoteId !== undefined) {
    const { boughtBefore, firstRecovery, knownOffer, useAgain } = await paying(line);
    await firstRecovery(line, call);
    const before = await boughtBefore(line, call); //                   PolicyError "no", PaymentUnknownError
    if (before !== undefined) return useAgain(line, call, before); //   CredentialRejectedError           paid: "yes"
    known = knownOffer(line, call); //                                  PolicyError: no such quote
  }

  const tried = new Set<string>();
  const offer = known ?? (await ask(line, call, tried));
  if (!("requestKey" in offer)) return offer; //                        free, opened by a kept credential, or not ours

  const { authorizeOffer, buy, firstRecovery, keptBeside, noteWait, redeem, tryKept, visitDesk } = await paying(line);
  authorizeOffer(line, call, offer); //                                 PolicyError                       paid: "no"
  // Where what is kept was not tried yet, or more may have turned up since.
  const beside = (await firstRecovery(line, call)) || known !== undefined;

  const { desk, leave } = visitDesk(line, offer.hop.url.origin);
  const wait: Wait = { deadline: line.clock.now() + line.config.paymentTimeoutMs, unsent: 0 };
  try {
    for (;;) {
      const way = (await keptBeside(line, call, offer, tried, beside)) ?? (await buy(line, call, offer, desk, tried, wait));
      if (way.status === "bought") {
        noteWait(call, "body", way.payment);
        return await redeem(line, call, offer.hop, way);
      }
      const opened = way.status === "try" ? await tryKept(line, call, offer, way, tried) : undefined;
      if (opened !== undefined) return opened;
    }
  } finally {
    leave();
  }
}
