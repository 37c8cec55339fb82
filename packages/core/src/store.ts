/** A store of somebody else's, so that it fails in one way only. */
import { isL402Error, StoreError } from "./errors.ts";
import type { Store } from "./ports.ts";

function silent(cause: unknown): unknown {
  if (isL402Error(cause)) return cause;
  return new StoreError("store_unavailable", "The store did not answer, and without it nothing is paid. See the cause, and try again when it is there.", { retryable: true, cause });
}

/** The store, whose every failure is a `StoreError`, and a rejection, also where it throws at once. */
export function answering(store: Store): Store {
  const guarded = <Arguments extends unknown[], Result>(method: (...args: Arguments) => Promise<Result>): ((...args: Arguments) => Promise<Result>) => {
    return async (...args) => {
      try {
        return await method.apply(store, args);
      } catch (cause) {
        throw silent(cause);
      }
    };
  };
  return {
    name: store.name,
    reserve: guarded(store.reserve),
    dispatch: guarded(store.dispatch),
    settle: guarded(store.settle),
    fail: guarded(store.fail),
    unknown: guarded(store.unknown),
    void: guarded(store.void),
    payment: guarded(store.payment),
    purchase: guarded(store.purchase),
    link: guarded(store.link),
    async *payments(...args) {
      try {
        yield* store.payments(...args);
      } catch (cause) {
        throw silent(cause);
      }
    },
    usage: guarded(store.usage),
    hosts: guarded(store.hosts),
    credential: guarded(store.credential),
    accepted: guarded(store.accepted),
    refused: guarded(store.refused),
    ...(store.ownerAlive === undefined ? {} : { ownerAlive: guarded(store.ownerAlive) }),
    ...(store.claim === undefined ? {} : { claim: guarded(store.claim) }),
    resume: guarded(store.resume),
    paused: guarded(store.paused),
    close: guarded(store.close),
  };
}
