/** The money side of the line. It is loaded when the first 402 has come. */
import { within } from "./clock.ts";
import type { Line, Offer } from "./line.ts";
import { NOT_SENT, pay } from "./payment.ts";
import { authorizeOrigin, enterDesk, follow, isSuspended, joinRecorded, newerCredential, noteRefusal, notSent, settledMeanwhile, sharesError, type Way } from "./purchase.ts";
import { queueOf, type OriginDesk } from "./queue.ts";
import type { Call } from "./request.ts";
import { askApproval, noteWait, reserve, type Wait } from "./reserve.ts";
import { queueTimeout, Seat } from "./seat.ts";
import { unknownError } from "./settlement.ts";

/**
 * The order in which money moves: reserve, approve, queue, dispatch and pay (in `pay`), settle (in `pay`). Every way out
 * before the dispatch voids the hold; after it, only proof ends it.
 */
export async function buy(line: Line, call: Call, offer: Offer, desk: OriginDesk, tried: ReadonlySet<string>, wait: Wait): Promise<Way> {
  const newer = newerCredential(line, offer, tried);
  if (newer !== undefined) return newer;
  const shared = line.state.flights.get(offer.requestKey);
  if (shared !== undefined) return follow(line, call, offer, shared, tried, wait);

  const seat = new Seat(line, offer, desk); //                          QueueFullError                    paid: "no"
  try {
    const reserved = await reserve(line, call, offer, desk, wait, seat); // BudgetExceededError             paid: "no"
    if (reserved.status === "again") return leaveSeat(seat, reserved);
    if (reserved.status === "purchase") return leaveSeat(seat, await joinRecorded(line, call, offer, reserved.payment, wait));
    seat.hold(reserved.payment);
    const before = await settledMeanwhile(line, call, offer, tried);
    if (before !== undefined) {
      await seat.giveUp("an earlier payment for it was settled");
      return leaveSeat(seat, before);
    }
    call.signal?.throwIfAborted();

    await askApproval(line, call, offer, reserved.payment, wait); //    PolicyError                       paid: "no"
    seat.answered();

    noteWait(call, "payment", reserved.payment);
    seat.permit = await enterDesk(line, call, desk, wait); //           QueueFullError, the abort's reason
    const instead = newerCredential(line, offer, tried);
    if (seat.permit === undefined || instead !== undefined) {
      await seat.giveUp("another credential of this origin is tried first");
      return leaveSeat(seat, instead ?? { status: "again" });
    }

    authorizeOrigin(line, reserved.payment.origin, offer.host); //      PolicyError: suspended while it waited
    line.emit("queued", reserved.payment.url, { paymentHash: reserved.payment.paymentHash });
    const payment = queueOf(line).run(() => {
      if (seat.cancelled || isSuspended(line, reserved.payment.origin) || newerCredential(line, offer, tried, "look") !== undefined) return Promise.resolve({ status: "not_sent" } as const);
      seat.dispatching = true;
      return pay(line, reserved.payment, () => seat.proceed());
    });
    payment.then(seat.place.leave, seat.place.leave);
    const waited = await within(line.clock, wait.deadline, call.signal, payment);

    if (waited.status !== "done") {
      const cause = waited.status === "aborted" ? waited.reason : undefined;
      if (await seat.giveUp("its caller stopped waiting")) throw waited.status === "aborted" ? cause : queueTimeout(line, offer.host);
      // It was dispatched: it goes on without this caller, and what it buys is kept for the next call.
      seat.detach(payment);
      const why = waited.status === "aborted" ? "the caller stopped waiting for the wallet" : "no answer from the wallet in time";
      await line.store.unknown(reserved.payment.paymentHash, reserved.payment.attempt + 1, { resolution: why }).catch(() => false);
      throw unknownError(line, reserved.payment, why, cause); //        PaymentUnknownError               paid: "unknown"
    }
    const outcome = waited.value;
    if (outcome.status === "settled") return { status: "bought", credential: outcome.credential, payment: reserved.payment, feeMsat: outcome.feeMsat, seat };
    if (outcome.status === "not_sent") {
      await seat.giveUp(NOT_SENT);
      return leaveSeat(seat, newerCredential(line, offer, tried) ?? (await notSent(line, reserved.payment, wait)));
    }
    throw outcome.error; //                                             PaymentFailedError "no", PaymentUnknownError
  } catch (error) {
    noteRefusal(line, offer, error);
    if (!seat.dispatching) await seat.giveUp("its caller was refused");
    if (!seat.detached) seat.end(sharesError(line, call, error) ? { status: "error", error, rules: line.rules } : { status: "none" });
    throw error;
  }
}

function leaveSeat(seat: Seat, way: Way): Way {
  seat.end({ status: "none" });
  return way;
}
