/** `l402_fetch`: asks, pays if it must and may, and gives the answer to a model, within bounds. */
import type { L402Client } from "../client.ts";
import { receiptOf } from "../credential.ts";
import type { KeptCredential } from "../ports.ts";
import { sha256Hex } from "../identity.ts";
import { HOOKS, type CallHooks } from "../request.ts";
import { fetchInput, fingerprint, readArguments, readRequest, wholeNumber, type FetchInput, type ToolRequest } from "./arguments.ts";
import { readBody } from "./body.ts";
import { readToolOptions, shelfOf, transportOf, type ToolOptions } from "./options.ts";
import { progressOf } from "./progress.ts";
import { amountsOf, roomOf } from "./room.ts";
import { concealing } from "./secrets.ts";
import type { Answer } from "./shelf.ts";
import type { FetchResult, L402Tool, ToolContext, ToolError, ToolPage, ToolProgress } from "./tool.ts";
import { fenced, invalidArguments, lines, mediaType, newFence, nextStep, plain, quoted, remainingLine, throwOn, toolErrorOf } from "./words.ts";

export type FetchTool = L402Tool<"l402_fetch", FetchInput, FetchResult>;

const DESCRIPTION = `Requests a URL and, if the server asks for a Lightning payment (L402), pays it from a limited budget and returns what was bought. Spends real money; the limits are enforced outside of your control and cannot be raised.
Use it for paid or free HTTP APIs. Set maxPriceSats when you know what it should cost; use l402_quote to learn a price without paying, and l402_balance to see what is left.
The result says first whether money was spent. A long body comes in parts: read on with offset, which costs nothing for 10 minutes. Repeating a call without offset is a new request and may cost again.`;

/** What an HTTP status means for a caller that cannot see the server. */
const STATUS_NOTES: Readonly<Record<string, string>> = {
  "401": "The server wants a login that this tool does not have.",
  "402": "The server asks for a payment, but not by an L402 challenge, which is all that this tool pays.",
  "403": "The server does not allow this.",
  "404": "There is nothing at this URL.",
  "405": "The server does not take this method here.",
  "429": "The server wants fewer requests; wait before trying again.",
};
const RETRYABLE: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * The tool `l402_fetch`. It goes through the guarded transport, unless told otherwise by name.
 *
 * @throws {L402Error} `invalid_options`, naming the option.
 */
export function fetchTool(client: L402Client, options?: ToolOptions): FetchTool {
  const settings = readToolOptions(options);
  const { clock, maxChars } = settings;
  const inputSchema = fetchInput();

  const ask = async (request: ToolRequest, maxPriceSats: number | undefined, callKey: string | undefined, { signal, rethrow, approve, onProgress }: ToolContext): Promise<Answer | ToolError> => {
    let response: Response;
    const shown: KeptCredential[] = [];
    const progress = progressOf(request.url.host, onProgress);
    try {
      signal?.throwIfAborted();
      progress("price");
      const transport = await transportOf(client, settings);
      const init = {
        ...request.init,
        ...(signal === undefined ? {} : { signal }),
        idempotencyKey: callKey,
        maxPriceSats,
        [HOOKS]: { transport, approve, onWait: (wait) => progress(wait.stage, wait), onShow: (credential) => shown.push(credential) } satisfies CallHooks,
      };
      response = await client.fetch(request.url.href, init);
    } catch (error) {
      throwOn(error, rethrow);
      const told = toolErrorOf(error, signal);
      return { ...told, message: concealing(shown)(told.message), ...hashOf(error) };
    }
    progress("body");
    const conceal = concealing(shown);
    const receipt = receiptOf(response);
    const paymentHash = receipt?.paymentHash ?? null;
    const contentType = response.headers.get("content-type");
    const finalUrl = response.url !== "" && response.url !== request.url.href ? conceal(whereTo(response.url)) : null;
    return {
      url: request.url.href,
      finalUrl,
      status: response.status,
      contentType: mediaType(contentType === null ? null : conceal(contentType)),
      paidSats: receipt?.paidSats ?? 0,
      feeSats: receipt?.feeSats ?? 0,
      reused: receipt?.reused ?? false,
      paymentHash,
      ...(await readBody(response, settings.maxBytes, contentType, signal, conceal)),
    };
  };

  return {
    name: "l402_fetch",
    title: "Fetch, paying if needed",
    description: DESCRIPTION,
    inputSchema,
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
    renderForModel: renderFetch,

    async execute(input, context = {}) {
      const refuse = async (url: URL | undefined, error: ToolError & { paymentHash?: string }): Promise<FetchResult> => failure(client, url, error);
      const given = readArguments(inputSchema, input);
      if (typeof given === "string") return refuse(undefined, invalidArguments(given));
      const request = readRequest(given);
      if (typeof request === "string") return refuse(undefined, invalidArguments(request));
      const maxPriceSats = wholeNumber(given.maxPriceSats);
      const offset = wholeNumber(given.offset);
      if (maxPriceSats === null) return refuse(request.url, invalidArguments("maxPriceSats must be a whole number of sats, 0 or more."));
      if (offset === null) return refuse(request.url, invalidArguments("offset must be a whole number of characters, 0 or more."));

      const shelf = shelfOf(client);
      const requestKey = fingerprint(request);
      const view = async (answer: Answer, kept: boolean): Promise<FetchResult> => success(answer, offset ?? 0, maxChars, kept, await roomOf(client, request.url));
      if (offset !== undefined && offset > 0) {
        const kept = shelf.byRequest(clock.now(), requestKey);
        if (kept !== undefined) return view({ ...kept, paidSats: 0, feeSats: 0, reused: false }, true);
        return refuse(request.url, { code: "body_not_kept", message: "There is no kept body for these arguments (any more), so there is nothing to read on from. Nothing was requested.", paid: "no", retryable: false });
      }

      const { idempotencyKey, signal } = context;
      if (idempotencyKey === undefined) {
        const answer = await ask(request, maxPriceSats, undefined, context);
        if (isError(answer)) return refuse(request.url, answer);
        shelf.keep(clock.now(), requestKey, undefined, answer);
        return view(answer, false);
      }

      // The same call again: it waits for its first run, and gets the answer of it.
      const callKey = sha256Hex(new TextEncoder().encode(JSON.stringify([idempotencyKey, requestKey])));
      for (;;) {
        const kept = shelf.byCall(clock.now(), callKey);
        if (kept !== undefined) return view(kept, true);
        const running = shelf.running.get(callKey);
        if (running === undefined) break;
        await untilAborted(running, signal);
        if (signal?.aborted) return refuse(request.url, toolErrorOf(undefined, signal));
      }
      const work = ask(request, maxPriceSats, callKey, context).then((answer) => {
        // What failed is tried again; the engine knows what was paid.
        if (!isError(answer)) shelf.keep(clock.now(), requestKey, answer.broken === null && answer.status < 400 ? callKey : undefined, answer);
        return answer;
      });
      shelf.running.set(callKey, work.catch(() => {}));
      try {
        const answer = await work;
        return isError(answer) ? await refuse(request.url, answer) : await view(answer, false);
      } finally {
        shelf.running.delete(callKey);
      }
    },
  };
}

function isError(answer: Answer | ToolError): answer is ToolError {
  return "code" in answer;
}

function hashOf(error: unknown): { paymentHash?: string } {
  const hash = (error as { paymentHash?: unknown } | undefined)?.paymentHash;
  return typeof hash === "string" ? { paymentHash: hash } : {};
}

/** Origin and path; a query may hold what the server was shown. */
function whereTo(url: string): string {
  const to = URL.parse(url);
  return to === null ? "" : plain(to.origin + to.pathname, 300);
}

async function untilAborted(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return void (await work);
  if (signal.aborted) return;
  let stop = (): void => {};
  const aborted = new Promise<void>((resolve) => (stop = resolve));
  signal.addEventListener("abort", stop, { once: true });
  await Promise.race([work, aborted]);
  signal.removeEventListener("abort", stop);
}

/** A part of the text; a pair of surrogates is not torn apart. */
function pageOf(answer: Answer, from: number, maxChars: number): ToolPage {
  const { text, truncated, binary } = answer;
  if (text === null) return { body: "", totalChars: null, offset: 0, nextOffset: null, truncated, binary };
  const splits = (at: number): boolean => at > 0 && at < text.length && /[\udc00-\udfff]/.test(text.charAt(at)) && /[\ud800-\udbff]/.test(text.charAt(at - 1));
  const start = Math.min(from, text.length) - (splits(from) ? 1 : 0);
  let end = Math.min(start + maxChars, text.length);
  if (splits(end)) end += end - start > 1 ? -1 : 1;
  return { body: text.slice(start, end), totalChars: text.length, offset: start, nextOffset: end < text.length ? end : null, truncated, binary: null };
}

function success(answer: Answer, offset: number, maxChars: number, kept: boolean, room: { remainingSats: number | null; remainingForHostSats: number | null }): FetchResult {
  const { url, finalUrl, status, contentType, paidSats, feeSats, reused, paymentHash } = answer;
  const paid = paidSats > 0 || feeSats > 0 ? "yes" : "no";
  let error: ToolError | null = null;
  if (answer.broken !== null) error = { code: answer.broken.code, message: answer.broken.why, paid, retryable: false };
  else if (status >= 400) error = { code: "http_error", message: `The server answered HTTP ${status}. ${STATUS_NOTES[String(status)] ?? ""}`.trim(), paid, retryable: RETRYABLE.has(status) };
  return {
    tool: "l402_fetch", ok: error === null, url, finalUrl, status, contentType, paidSats, feeSats, heldSats: 0, reused, kept, paymentHash, ...room,
    ...pageOf(answer, offset, maxChars), fence: newFence(), error, progress: null,
  };
}

async function failure(client: L402Client, url: URL | undefined, { paymentHash, ...told }: ToolError & { paymentHash?: string }): Promise<FetchResult> {
  const amounts = told.paid === "no" || paymentHash === undefined ? undefined : await amountsOf(client, paymentHash);
  const error = told.paid === "unknown" ? knownByNow(told, amounts?.state) : told;
  return {
    ...nothing(url?.href ?? ""),
    paidSats: error.paid === "yes" ? (amounts?.amountSats ?? 0) : 0,
    feeSats: error.paid === "yes" ? (amounts?.feeSats ?? 0) : 0,
    heldSats: error.paid === "unknown" ? (amounts?.heldSats ?? 0) : 0,
    paymentHash: paymentHash ?? null,
    ...(await roomOf(client, url)),
    error,
  };
}

/** A result without an answer. */
function nothing(url: string): FetchResult {
  return {
    tool: "l402_fetch", ok: false, url, finalUrl: null, status: null, contentType: null, paidSats: 0, feeSats: 0, heldSats: 0, reused: false, kept: false,
    paymentHash: null, remainingSats: null, remainingForHostSats: null, body: "", totalChars: null, offset: 0, nextOffset: null, truncated: false,
    binary: null, fence: newFence(), error: null, progress: null,
  };
}

/** A result that is not complete, for frameworks that show results while a call runs. */
export function preliminaryResult(url: string, progress: ToolProgress): FetchResult {
  return { ...nothing(plain(url, 300)), paymentHash: progress.paymentHash, progress };
}

/** A payment may have ended since its caller stopped waiting for it. */
function knownByNow(error: ToolError, state: string | undefined): ToolError {
  if (state === "failed" || state === "voided") return { code: "payment_failed", message: "The payment failed after a while. Nothing was paid.", paid: "no", retryable: true };
  if (state === "settled") return { ...error, message: "The payment was made, though its caller had stopped waiting. What it bought is kept, and the same call uses it without paying.", paid: "yes", retryable: true };
  return error;
}

/** The text of a result for the model. */
export function renderFetch(result: FetchResult): string {
  const { error, paidSats, feeSats, heldSats, progress } = result;
  if (progress) return progress.message; // a result of an older version has none
  const remaining = remainingLine(result.remainingSats, result.remainingForHostSats);
  const fee = feeSats > 0 ? `Routing fee: ${feeSats} sats.` : "";
  if (result.status === null && error !== null) {
    const said = plain(error.message, 700);
    const next = error.code === "payment_unknown" && error.paid === "yes" ? "Call again with the same arguments." : nextStep(error);
    if (error.paid === "unknown") return lines(`[Payment unknown: ${heldSats > 0 ? `up to ${heldSats} sats` : "money"} may have been spent] ${said}`, next, remaining);
    if (error.paid === "yes") return lines(`[Paid${paidSats > 0 ? ` ${paidSats} sats` : ""} for this purchase] ${said}`, fee, next, remaining);
    return lines(`[Not paid] ${said}`, next, remaining);
  }
  const paid = paidSats > 0 ? `[Paid ${paidSats} sats] ` : "";
  return lines(
    `${paid}HTTP ${result.status}`,
    fee,
    error === null ? "" : `${error.code === "http_error" ? "" : "The body is not complete. "}${plain(error.message, 400)} ${error.code === "http_error" && error.retryable ? "Trying again later may help." : ""}`.trim(),
    result.kept ? (result.offset > 0 ? "Read from the kept body: nothing was requested or paid now." : "This very call was made before; this is its kept answer, and nothing was paid again.") : "",
    result.reused ? "Opened by a credential that was bought earlier: nothing was paid now." : "",
    remaining,
    result.finalUrl === null ? "" : `Redirected to ${quoted(result.finalUrl, 300)}.`,
    ...bodyLines(result),
  );
}

function bodyLines({ body, binary, contentType, totalChars, offset, nextOffset, truncated, fence }: FetchResult): string[] {
  const type = contentType === null ? "of no stated type" : `of type ${quoted(contentType, 130)}`;
  const cut = truncated ? " The server sent more than is read; the rest is not available." : "";
  if (binary !== null) {
    const hash = typeof binary.sha256 === "string" && /^[0-9a-f]{64}$/.test(binary.sha256) ? `, SHA-256 ${binary.sha256}` : "";
    return [`Binary body ${type}: ${truncated ? "more than " : ""}${binary.bytes} bytes${hash}. It is not shown.`];
  }
  const total = totalChars ?? 0;
  if (total === 0) return [`The body is empty.${cut}`];
  if (body === "") return [`The body has ${total} characters, so there is nothing at offset ${offset}.${cut}`];
  const end = offset + body.length;
  const all = nextOffset === null && offset === 0;
  const extent = all ? `Body ${type}, ${total} characters.` : `Body ${type}, characters ${offset} to ${end} of ${total}.`;
  const next = nextOffset === null ? "" : ` To read on, call l402_fetch again with the same arguments and "offset": ${nextOffset}; this costs nothing.`;
  return [`${extent}${next}${cut}`, fenced(body, fence)];
}
