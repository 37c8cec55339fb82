import { ceilSats, isL402Error, L402Client, receiptOf, type L402Event, type PaymentIntent, type Store } from "@l402-tools/core";
import { flag, text, whole } from "../arguments.ts";
import { EXIT, failureOf, UsageError, type Failure } from "../errors.ts";
import { ask, hasPerson } from "../input.ts";
import { onInterrupt, type Interrupt } from "../interrupt.ts";
import { isFullWallet, ledgerPath, openLedger, ownPaymentsOnly, readWallet } from "../ledger.ts";
import { readRequest, REQUEST_HELP, REQUEST_OPTIONS, transport } from "../request.ts";
import { Scope } from "../scope.ts";
import type { Settings } from "../settings.ts";
import { openSink, type Sink } from "../sink.ts";
import type { Terminal } from "../terminal.ts";
import { harmless, sats, short } from "../text.ts";
import type { Command } from "./command.ts";

/** One line for each step that a person would want to see. */
function progress(terminal: Terminal, interrupt: Interrupt): (event: L402Event) => void {
  return ({ type, paymentHash = "", amountSats, url }) => {
    if (type === "dispatched") interrupt.sent.add(paymentHash);
    if (type === "settled" || type === "failed" || type === "resolved") interrupt.sent.delete(paymentHash);
    if (type === "challenge" && amountSats !== undefined) terminal.note(`${URL.parse(url)?.host ?? "The server"} asks ${sats(amountSats)}.`);
    if (type === "dispatched") terminal.note("Paying…");
    if (type === "unknown") terminal.note("The wallet has not said how the payment ended; looking it up…");
    if (type === "rejected") terminal.note("A credential was refused.");
  };
}

function approval(terminal: Terminal, interrupt: Interrupt): (intent: PaymentIntent) => Promise<boolean> {
  return async (intent) => {
    if (hasPerson(terminal.io)) return ask(intent, terminal.io, interrupt.signal);
    terminal.warn(`This payment of ${sats(intent.amountSats)} to ${intent.host} needs a person's yes, and there is no terminal to ask at.`);
    return false;
  };
}

/** Nobody should pay without any limit by mistake. */
function assertLimited({ rules }: Settings, maxPriceSats: number | undefined, asks: boolean): void {
  const { budgetSats, budgetPerDomain, limits, maxSatsPerRequest } = rules;
  if ([budgetSats, budgetPerDomain, limits, maxSatsPerRequest, maxPriceSats].every((one) => one === undefined) && !asks) {
    throw new UsageError("No limit is set: give --max-price, --ask, or a budget (BUDGET_SATS, MAX_SATS_PER_REQUEST, or l402-tools.json).");
  }
}

/** What became of a payment that was open when its call failed: it may have ended since. */
async function lastWord(failure: Failure, store: Store): Promise<Failure> {
  if (failure.paid !== "unknown" || failure.paymentHash === undefined) return failure;
  const { paymentHash } = failure;
  const row = await store.payment(paymentHash).catch(() => undefined);
  if (row?.state === "settled") {
    const message = `The payment of ${sats(ceilSats(row.amountMsat + row.feeMsat))} was made, though its answer came late. What it bought is kept: the same command uses it without paying.`;
    return { ...failure, exitCode: EXIT.paidInVain, message, paid: "yes", retryable: true };
  }
  if (row?.state === "failed" || row?.state === "voided") return { ...failure, exitCode: EXIT.failed, code: "payment_failed", message: "The payment failed after a while. Nothing was paid.", paid: "no", retryable: true };
  const held = row === undefined ? "It" : `Up to ${sats(ceilSats(row.amountMsat + row.maxFeeMsat))}`;
  return { ...failure, message: `${failure.message} ${held} may have been paid and stays held as payment ${short(paymentHash)}: l402-tools recover finds out, and then the same command uses what was bought.` };
}

interface Delivery {
  readonly bytes: number;
  readonly error: unknown;
}

async function deliver(response: Response, sink: Sink): Promise<Delivery> {
  let bytes = 0;
  try {
    if (response.body !== null) {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        if (!(await sink.write(chunk))) break;
        bytes += chunk.length;
      }
    }
    await sink.end();
    return { bytes, error: undefined };
  } catch (error) {
    return { bytes, error: error ?? new Error("unknown") };
  }
}

export const fetchCommand: Command = {
  name: "fetch",
  usage: "URL [options]",
  summary: "requests a URL, pays what it costs within the budget, and writes the answer to standard output",
  details: `Needs a wallet, a ledger and a limit (see l402-tools --help). What was bought before is used before anything is paid.
Facts (what was paid, what is left) and progress go to standard error; with --json the facts are one line of JSON there.

${REQUEST_HELP}
  -o, --output FILE     write the body to a file. It is opened before anything is paid
  --idempotency-key KEY makes this purchase the same for good: with one key at most one invoice is paid
  --ask                 ask at the terminal before each payment; without a terminal it is refused
  --approve-above SATS  ask only about dearer ones
  --wallet FILE         a JavaScript module that exports a wallet, in place of the wallet's variables
  -q, --quiet           no facts and no progress`,
  options: {
    ...REQUEST_OPTIONS,
    output: { type: "string", short: "o" },
    "idempotency-key": { type: "string" },
    ask: { type: "boolean" },
    "approve-above": { type: "string" },
    wallet: { type: "string" },
  },
  async run({ terminal, settings, values, positionals }) {
    const { url, init, maxPriceSats } = await readRequest(values, positionals, terminal.io);
    const above = whole(values, "approve-above") ?? (flag(values, "ask") ? 0 : undefined);
    // Of the two, the stricter one: a flag must not talk a person out of what the settings promise.
    const askAbove = [above, settings.approveAboveSats].filter((one) => one !== undefined).reduce<number | undefined>((least, one) => Math.min(least ?? one, one), undefined);
    assertLimited(settings, maxPriceSats, askAbove !== undefined);
    ledgerPath(settings);
    const wallet = await readWallet(settings);

    await using scope = new Scope();
    const sink = scope.use(await openSink(text(values, "output"), terminal));
    if (isFullWallet(wallet)) scope.defer(() => wallet.close?.());
    const store = scope.use(await openLedger(settings, "be made"));
    const fetch = scope.use(await transport(settings));
    const interrupt = scope.use(onInterrupt(terminal));
    const client = scope.use(
      new L402Client({
        ...settings.rules,
        wallet: ownPaymentsOnly(wallet, store),
        store,
        fetch,
        onEvent: progress(terminal, interrupt),
        ...(askAbove === undefined ? {} : { approveAbove: askAbove, approve: approval(terminal, interrupt) }),
      }),
    );

    let response: Response;
    try {
      const idempotencyKey = text(values, "idempotency-key");
      response = await client.fetch(url, { ...init, signal: interrupt.signal, maxPriceSats, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) });
    } catch (error) {
      await client.close(); // waits a short while for a payment that is with the wallet
      return terminal.failure(await lastWord(failureOf(error, true), store));
    }

    const receipt = receiptOf(response);
    const delivery = await deliver(response, sink);
    const paidSats = receipt?.paidSats ?? 0;
    const feeSats = receipt?.feeSats ?? 0;
    const paidNow = paidSats > 0 || feeSats > 0;
    const remainingSats = await client.balance().then(({ remainingSats: left }) => left, () => null);
    const { status } = response;
    if (sink.altered) terminal.warn("Control characters were replaced for this terminal; -o FILE gets every byte.");
    terminal.facts(
      {
        url: response.url === "" ? url.href : response.url,
        status,
        contentType: response.headers.get("content-type"),
        bytes: delivery.bytes,
        paidSats,
        feeSats,
        reused: receipt?.reused ?? false,
        paymentHash: receipt?.paymentHash ?? null,
        remainingSats,
        file: sink.file ?? null,
      },
      [
        `HTTP ${status}.`,
        paidNow ? `Paid ${sats(paidSats)}${feeSats > 0 ? ` and ${sats(feeSats)} of fee` : ""}.` : receipt?.reused === true ? "Paid nothing: it was bought before." : "Paid nothing.",
        ...(remainingSats === null ? [] : [`${sats(remainingSats)} left.`]),
      ].join(" "),
    );

    const paid = paidNow ? "yes" : "no";
    const money = paidNow ? `${sats(paidSats + feeSats)} were paid; what was bought is kept, and the same command uses it without paying.` : "Nothing was paid.";
    if (delivery.error !== undefined) {
      if (interrupt.signal.aborted && !paidNow) return terminal.fail(interrupt.signal.reason);
      const why = isL402Error(delivery.error) ? harmless(delivery.error.message) : `The body could not be ${isPipe(delivery.error) ? "written" : "read"} to its end.`;
      return terminal.failure({ exitCode: paidNow ? EXIT.paidInVain : EXIT.failed, code: "incomplete", message: `${why} ${money}`, paid, retryable: true });
    }
    if (status >= 400) {
      return terminal.failure({ exitCode: paidNow ? EXIT.paidInVain : EXIT.httpError, code: "http_error", message: `The server answered HTTP ${status}. ${money}`, paid, retryable: status === 429 || status >= 500 });
    }
    return EXIT.done;
  },
};

const isPipe = (error: unknown): boolean => ["EPIPE", "ENOSPC", "EIO", "EDQUOT", "EFBIG"].includes((error as { code?: string } | undefined)?.code ?? "");
