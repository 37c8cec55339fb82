import type { KeptCredential, Store } from "@l402-tools/core";
import { text, whole } from "../arguments.ts";
import { EXIT, UsageError } from "../errors.ts";
import { findPayment, openLedger } from "../ledger.ts";
import { harmless, short, table, time } from "../text.ts";
import type { Command } from "./command.ts";
import { Scope } from "../scope.ts";

/** A bought credential, without itself. */
interface Shown {
  readonly paymentHash: string;
  readonly origin: string;
  readonly method: string;
  readonly path: string;
  readonly scheme: string;
  readonly boughtAt: number;
  readonly acceptedAt: number | null;
}

type Place = Pick<KeptCredential, "origin" | "method" | "path">;

/** Credentials of one place: a store is asked for them one by one, each time without those before, so many take long. */
const LIMIT = 100;

/** Credentials that are still offered at the place where they were bought: the newest, newest first. */
async function offeredAt(store: Store, budgetId: string, { origin, method, path }: Place, most: number): Promise<KeptCredential[]> {
  const found: KeptCredential[] = [];
  const except = new Set<string>();
  while (found.length < most) {
    const credential = await store.credential({ budgetId, origin, method, path, anyPath: false, except });
    if (credential === undefined || except.has(credential.paymentHash)) return found;
    found.push(credential);
    except.add(credential.paymentHash);
  }
  return found;
}

/** At most `limit` of each place; `more`: places that have others as well. */
async function list(store: Store, budgetId: string, host: string | undefined, limit: number): Promise<{ found: Shown[]; more: Place[] }> {
  const places = new Map<string, Place>();
  for await (const { origin, method, path, preimage } of store.payments(budgetId, { state: "settled", ...(host === undefined ? {} : { host }) })) {
    if (preimage !== undefined) places.set(JSON.stringify([origin, method, path]), { origin, method, path });
  }
  const found: Shown[] = [];
  const more: Place[] = [];
  for (const place of places.values()) {
    const offered = await offeredAt(store, budgetId, place, limit + 1);
    if (offered.length > limit) more.push(place);
    for (const { paymentHash, origin, method, path, scheme, settledAt, acceptedAt } of offered.slice(0, limit)) {
      found.push({ paymentHash, origin, method, path, scheme, boughtAt: settledAt, acceptedAt: acceptedAt ?? null });
    }
  }
  return { found, more };
}

/** Says that it is refused where it was bought: the store offers it nowhere from then on, and keeps that on record. */
async function remove(store: Store, budgetId: string, given: string): Promise<{ paymentHash: string; removed: boolean }> {
  const payment = await findPayment(store, budgetId, given);
  const { paymentHash } = payment;
  if (payment.state !== "settled" || payment.preimage === undefined) throw new UsageError(`The payment ${short(paymentHash)} has no credential: it is ${payment.state}${payment.state === "settled" ? ", without a preimage" : ""}.`);
  const offered = await offeredAt(store, budgetId, payment, LIMIT);
  if (offered.length < LIMIT && !offered.some((one) => one.paymentHash === paymentHash)) return { paymentHash, removed: false };
  await store.refused(paymentHash, { method: payment.method, path: payment.path });
  return { paymentHash, removed: true };
}

export const credentials: Command = {
  name: "credentials",
  usage: "list [--host HOST] [--limit N] | remove PAYMENT…",
  summary: "what was bought and is used again: list it, or stop using it",
  details: `Reads and writes the ledger only; no wallet is needed. Credentials themselves are never shown.

  list             what is offered to servers, by the payment that bought it
  remove PAYMENT…  stops offering it (its payment hash, or the beginning of it); the next call buys anew.
                   The payment stays on record, and so does that its credential was given up. A call that
                   repeats the idempotency key of that very purchase still uses it: it paid for it
  --host HOST      only those of this host
  --limit N        the newest N of one method and path (default ${LIMIT}; 0: all)`,
  options: { host: { type: "string" }, limit: { type: "string" } },
  async run({ terminal, settings, values, positionals }) {
    const [action, ...hashes] = positionals;
    if (action !== "list" && action !== "remove") throw new UsageError("Say what to do: credentials list, or credentials remove PAYMENT.");
    if (action === "remove" && hashes.length === 0) throw new UsageError("PAYMENT is missing: say which, by its payment hash.");
    if (action === "list" && hashes.length > 0) throw new UsageError("credentials list takes no arguments.");
    const budgetId = settings.rules.budgetId ?? "default";
    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    if (action === "list") {
      const limit = whole(values, "limit") ?? LIMIT;
      const { found, more } = await list(store, budgetId, text(values, "host")?.toLowerCase(), limit === 0 ? Number.POSITIVE_INFINITY : limit);
      for (const { origin, method, path } of more) terminal.note(`Only the newest ${limit} of ${method} ${origin}${path} are shown; see --limit.`);
      await terminal.result({ credentials: found, more: more.length > 0 }, () =>
        found.length === 0
          ? ["No credentials are kept."]
          : table(
              [{ title: "PAYMENT" }, { title: "BOUGHT" }, { title: "LAST ACCEPTED" }, { title: "OPENS" }],
              found.map((one) => [short(one.paymentHash), time(one.boughtAt), one.acceptedAt === null ? "not yet" : time(one.acceptedAt), harmless(`${one.method} ${one.origin}${one.path}`)]),
              terminal.paint,
              terminal.width,
            ),
      );
      return EXIT.done;
    }
    const done: { paymentHash: string; removed: boolean }[] = [];
    for (const given of hashes) done.push(await remove(store, budgetId, given));
    await terminal.result({ credentials: done }, () => done.map(({ paymentHash, removed }) => `${short(paymentHash)}: ${removed ? "not offered any more" : "was not offered any more already"}.`));
    return EXIT.done;
  },
};
