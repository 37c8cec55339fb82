/**
 * Mutants of the engine and of the store in memory: each takes one guard out. The schedules must notice every one.
 * `from` must be in the source exactly once, so that a change of the source cannot make a mutant empty.
 */
export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const one = (name: string, file: string, from: string, to: string): Mutant => ({ name, edits: [{ file, from, to }] });

export const MUTANTS: readonly Mutant[] = [
  one("a time-out releases the hold", "payment.ts", `return await noteUnknown(line, payment, "no answer from the wallet in time");`, `await store.fail(payment.paymentHash, payment.attempt, "timeout"); return await noteUnknown(line, payment, "no answer from the wallet in time");`),
  one("an unknown answer releases the hold", "payment.ts", `if (result.status === "failed") {`, `if (result.status === "unknown") result = { status: "failed", reason: "other", message: "?" };\n  if (result.status === "failed") {`),
  one("a wrong preimage releases the hold", "payment.ts", `if (preimage !== undefined) return book(`, `if (preimage === undefined) await line.store.fail(payment.paymentHash, payment.attempt, "no preimage");\n    if (preimage !== undefined) return book(`),
  one("any preimage is taken", "settlement.ts", `return sha256Hex(hexToBytes(preimage)) === paymentHash ?`, `return paymentHash.length > 0 ?`),
  one("paid before it is on record", "payment.ts", `const sent = await store.dispatch(`, `void callWallet(line.wallet, payRequestOf(line, held, held.maxFeeMsat));\n  const sent = await store.dispatch(`),
  one("a refused dispatch is sent all the same", "payment.ts", `if (sent === null) return { status: "not_sent" };`, `if (sent === null) { void callWallet(line.wallet, payRequestOf(line, held, held.maxFeeMsat)); return { status: "not_sent" }; }`),
  one("a reservation checks, and holds nothing", "memory-store.ts", `counter.heldMsat += row.amountMsat + row.maxFeeMsat;\n      counter.heldPayments += 1;`, ``),
  one("the fee is not in the hold", "memory-store.ts", `maxFeeMsat: room.feeMsat,`, `maxFeeMsat: 0n,`),
  one("the fee is not in what must fit", "budget.ts", `if (room - amountMsat < feeMsat) feeMsat = room - amountMsat;`, `if (room - amountMsat < 0n) feeMsat = room - amountMsat;`),
  one("only the first limit is checked", "memory-store.ts", `const checks = limits.filter(`, `const checks = limits.slice(0, 1).filter(`),
  one("counts are not checked", "budget.ts", `if (count !== undefined && count < 1)`, `if (count !== undefined && count < 0)`),
  one("a window forgets its holds", "memory-store.ts", `...(since === undefined ? { spentMsat: journal.spentMsat, payments: journal.payments } : journal.after(since)), heldMsat, heldPayments }`, `...(since === undefined ? { spentMsat: journal.spentMsat, payments: journal.payments, heldMsat, heldPayments } : { ...journal.after(since), heldMsat: 0n, heldPayments: 0 }) }`),
  one("a window counts by the time of the reservation", "memory-store.ts", `counter.journal.add(row.resolvedAt as number,`, `counter.journal.add(row.reservedAt,`),
  one("dispatch does not ask for the state", "memory-store.ts", `row.state !== "reserved" || row.owner !== owner || clock.now() > notAfter`, `now() > notAfter`),
  one("void does not ask for the state", "memory-store.ts", `if (row === undefined || row.state !== "reserved" || (owner !== undefined && row.owner !== owner)) return false;`, `if (row === undefined) return false;`),
  one("fail takes any attempt", "memory-store.ts", `|| row.attempt !== attempt) return false;\n      end(row, "failed", resolution);`, `) return false;\n      end(row, "failed", resolution);`),
  one("settled twice, counted twice", "memory-store.ts", `if (row.state === "settled") return { status: "already" };`, ``),
  one("a late payment is not counted", "memory-store.ts", `const late = isFree(row);`, `if (isFree(row)) return { status: "late" };\n    const late = isFree(row);`),
  one("an overrun does not pause", "memory-store.ts", `if (overrun) pauses.set(`, `if (overrun && late) pauses.set(`),
  one("a paid hash is reserved anew", "memory-store.ts", `if (old !== undefined && !isFree(old)) return`, `if (old !== undefined && !isFree(old) && old.state !== "settled") return`),
  one("an idempotency key means nothing", "memory-store.ts", `if (keyed !== undefined && !isVacant(keyed)) return`, `if (keyed !== undefined && keyed.state === "reserved") return`),
  one("an unresolved request does not block", "memory-store.ts", `if (unresolved !== undefined) return { status: "purchase", payment: unresolved };`, ``),
  one("not found at once is proof", "recovery.ts", `if (after !== null && payment.dispatchedAt !== undefined && now >= payment.dispatchedAt + after) proof`, `proof`),
  one("an expired invoice releases", "recovery.ts", `let proof: string | undefined;`, `let proof: string | undefined = found.status === "in_flight" && now > payment.expiresAt ? "expired" : undefined;`),
  one("a soft failure is proof", "recovery.ts", `found.status === "failed" && !found.soft && (payment.attempt <= 1 || cannotBegin)`, `found.status === "failed"`),
  one("recovery takes a sent payment for an unsent one", "recovery.ts", `    if (payment.state === "reserved") {\n      if (await voidAbandoned`, `    if (payment.state === "sending" && !line.state.live.has(payment.paymentHash)) await line.store.fail(payment.paymentHash, payment.attempt, "abandoned");\n    if (payment.state === "reserved") {\n      if (await voidAbandoned`),
  one("a refusal is paid over", "redeem.ts", `throw new CredentialRejectedError(\n        \`\${host} was paid`, `if (paid !== undefined) return await (await import("./paid-fetch.ts")).paidFetch(line, hop.url, { method: hop.method, headers: { "x-again": "1" }, ...(hop.body === undefined ? {} : { body: hop.body }) });\n      throw new CredentialRejectedError(\n        \`\${host} was paid`),
  one("the queue frees its slots", "queue.ts", `this.#queue = new PQueue({ concurrency });`, `this.#queue = new PQueue({ concurrency: concurrency + 1 });`),
  one("an untold fee is none", "settlement.ts", `feeMsat : payment.maxFeeMsat;`, `feeMsat : 0n;`),
];
