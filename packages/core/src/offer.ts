/** Reads a 402: challenge, invoice, and whether they belong together. Nothing is paid or held here. */
import { bindingOf } from "./binding.ts";
import { asksForPayment } from "./credential.ts";
import { checkDeclared, parseChallenge, withBody } from "./challenge.ts";
import { InvoiceError } from "./errors.ts";
import { discard, readText, type Reply } from "./exchange.ts";
import { decodeInvoice } from "./invoice.ts";
import type { Line, Offer } from "./line.ts";
import { ceilSats } from "./money.ts";
import { requestKeyOf } from "./identity.ts";
import { hostOf, type Call } from "./request.ts";

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\b/i;

/**
 * The offer of a 402, or `null` when it is not one of ours; its response is then untouched. `turn` is when its request
 * was made, among this client's requests and accepted credentials.
 *
 * @throws {ChallengeError} when the challenge is unusable. @throws {InvoiceError} when the invoice must not be paid.
 */
export async function readOffer(line: Line, call: Call, reply: Reply, turn: number): Promise<Offer | null> {
  const { response, hop } = reply;
  if (!asksForPayment(response)) return null;
  try {
    let challenge = parseChallenge(response.headers.get("www-authenticate"));
    const type = response.headers.get("content-type");
    if (type !== null && JSON_TYPE.test(type)) {
      // Without a challenge in the header the 402 may be handed back, so that its body must stay unread.
      const copy = challenge === null ? response.clone() : response;
      challenge = withBody(challenge, type, await readText(copy, line.clock));
    }
    if (challenge === null) return null;
    discard(response, line.clock);
    const invoice = await decodeInvoice(challenge.invoice, { network: line.config.network, now: line.clock.now() });
    checkDeclared(challenge, invoice);
    if (bindingOf(challenge.credential, invoice.paymentHash) === "mismatch") {
      throw new InvoiceError("invoice_mismatch", "The credential is bound to another payment than the invoice, so that paying it may open nothing. Nothing was paid; the server, or somebody on the way, mixed them up.");
    }
    const requestKey = requestKeyOf(hop);
    const offer: Offer = {
      challenge,
      invoice,
      hop,
      host: hostOf(hop.url),
      requestKey,
      callKey: hop === call.first ? requestKey : requestKeyOf(call.first),
      turn,
      approved: false,
    };
    line.emit("challenge", hop.url.href, { paymentHash: invoice.paymentHash, amountSats: ceilSats(invoice.amountMsat) });
    return offer;
  } catch (error) {
    discard(response, line.clock);
    throw error;
  }
}
