/**
 * A purchase that this process makes: what it holds on to while it lasts (a flight that identical calls follow, a place
 * in the queue, a hold, a permit of its origin), and lets go of exactly once.
 */
import { QueueFullError } from "./errors.ts";
import { noteOrphan, noteRelease, type Flight, type FlightResult, type Line, type Offer, type Outcome } from "./line.ts";
import type { StoredPayment } from "./ports.ts";
import { queueOf, type OriginDesk, type Permit, type Place } from "./queue.ts";
import { watch } from "./recovery.ts";

export class Seat {
  readonly #line: Line;
  readonly #desk: OriginDesk;
  readonly #flight: Flight;
  readonly #requestKey: string;
  readonly place: Place;
  /**
   * Names this reservation, not only its process: the same invoice may be reserved again, and a late dispatch of the
   * earlier reservation must not send the later one.
   */
  readonly owner: string;
  #held: StoredPayment | undefined;
  #ended = false;
  #givenUp = false;
  permit: Permit | undefined;
  /** Set before the dispatch is asked for: from then on only the store knows whether it was granted. */
  dispatching = false;
  /** Set when the purchase was given up before the dispatch: the queue's task then does nothing. */
  cancelled = false;
  /** The payment goes on without its caller. */
  detached = false;

  /** Claims the purchase for this call, without an `await` in between. @throws {QueueFullError} `queue_full`. */
  constructor(line: Line, offer: Offer, desk: OriginDesk) {
    this.place = queueOf(line).enter();
    let end: (result: FlightResult) => void = () => {};
    const result = new Promise<FlightResult>((resolve) => (end = resolve));
    this.#flight = { paymentHash: undefined, dispatched: false, result, end };
    this.owner = `${line.state.owner}/${(line.state.reservations += 1)}`;
    line.state.working.add(this.owner);
    this.#line = line;
    this.#desk = desk;
    this.#requestKey = offer.requestKey;
    line.state.flights.set(offer.requestKey, this.#flight);
  }

  get held(): StoredPayment | undefined {
    return this.#held;
  }

  /** Takes over a hold that `reserve` counted at the desk. */
  hold(payment: StoredPayment): void {
    this.#held = payment;
    this.#flight.paymentHash = payment.paymentHash;
  }

  /** The dispatch is on record. `false`: the caller was told meanwhile that nothing is paid, so that nothing must be. */
  proceed(): boolean {
    if (this.#givenUp) return false;
    this.#flight.dispatched = true;
    return true;
  }

  /** Gives the purchase up. `false`: it was dispatched, or may have been; then only proof ends it. */
  async giveUp(why: string): Promise<boolean> {
    if (this.#held === undefined) return true;
    if (!this.dispatching) this.cancelled = true;
    const { store } = this.#line;
    const { paymentHash, owner } = this.#held;
    const voided = await store.void(paymentHash, why, owner).catch(() => {
      watch(this.#line); // it stays reserved for now, and is voided when the store answers again
      return false;
    });
    if (voided) {
      noteRelease(this.#line, this.#held);
      this.#line.emit("resolved", this.#held.url, { paymentHash, detail: `voided: ${why}` });
      return true;
    }
    if (this.cancelled) return true; // the queue's task will not ask for the dispatch any more
    const row = await store.payment(paymentHash).catch(() => undefined);
    const gone = row !== undefined && (row.owner !== owner || row.state === "voided" || row.state === "failed");
    if (gone) noteRelease(this.#line, this.#held);
    // Decided here and now: either the wallet was called already, or it never will be.
    return (this.#givenUp = gone && !this.#flight.dispatched);
  }

  /** The payment goes on without its caller; what it buys is offered to whoever waits, and kept. */
  detach(payment: Promise<Outcome>): void {
    this.detached = true;
    payment.then(
      (outcome) => this.end(outcome.status === "settled" ? { status: "credential", credential: outcome.credential, answered: false } : outcome.status === "not_sent" ? { status: "none" } : { status: "error", error: outcome.error }),
      (error: unknown) => this.end({ status: "error", error }),
    );
  }

  /** A person may be asked from now on; the hold may be given up soon. */
  asks(): void {
    const { asking } = this.#line.state;
    const question = new Promise<void>((resolve) => {
      this.answered = () => {
        asking.delete(question);
        resolve();
      };
    });
    asking.add(question);
  }

  /** Nobody is asked any more. */
  answered: () => void = () => {};

  /** Lets go of everything, once. */
  end(result: FlightResult): void {
    if (this.#ended) return;
    this.#ended = true;
    this.answered();
    const { flights, working } = this.#line.state;
    working.delete(this.owner);
    if (flights.get(this.#requestKey) === this.#flight) flights.delete(this.#requestKey);
    if (result.status === "credential" && !result.answered) noteOrphan(this.#line, result.credential, this.#requestKey);
    if (this.#held !== undefined) this.#desk.underWay -= 1;
    this.place.leave();
    this.permit?.release();
    this.#flight.end(result);
    this.#desk.change();
  }
}

export function queueTimeout(line: Line, host: string): QueueFullError {
  return new QueueFullError("queue_timeout", `The payment to ${host} was not sent within ${line.config.paymentTimeoutMs} ms, since others were before it. Nothing was paid; try again.`);
}
