/** The arguments of a request: their schema, and the checks that a schema cannot make. All of it is hostile input. */
import { z } from "zod";
import { MAX_SATS } from "../money.ts";
import { sha256Hex } from "../identity.ts";
import { quoted } from "./words.ts";

export type RequestShape = {
  url: z.ZodString;
  method: z.ZodOptional<z.ZodString>;
  headers: z.ZodOptional<z.ZodRecord<z.ZodString, z.ZodString>>;
  body: z.ZodOptional<z.ZodString>;
};
export type FetchInput = z.ZodObject<RequestShape & { maxPriceSats: z.ZodOptional<z.ZodNumber>; offset: z.ZodOptional<z.ZodNumber> }>;
export type QuoteInput = z.ZodObject<RequestShape>;
// oxlint-disable-next-line typescript/no-generated-empty-object-type -- it takes nothing
export type NoInput = z.ZodObject<Record<never, never>>;

/** The arguments of `l402_fetch`. */
export type FetchArguments = z.input<FetchInput>;
/** The arguments of `l402_quote`. */
export type QuoteArguments = z.input<QuoteInput>;

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

// Ranges are in the schema for the model to read and checked below, so that a violation is a result in our own words.
const shape = (): RequestShape => ({
  url: z.string().describe("Absolute https URL to request."),
  method: z.string().meta({ description: "HTTP method. Left out: GET, or POST when there is a body.", enum: METHODS }).optional(),
  headers: z.record(z.string(), z.string()).describe('Request headers by name, such as {"accept": "application/json"}. Authorization, Cookie, Host and connection headers are refused; payment credentials are added by the tool.').optional(),
  body: z.string().describe("Request body as text. A JSON object or list is sent as application/json unless a content-type header says otherwise.").optional(),
});

/**
 * An object that lets unknown arguments through, for `execute` to refuse them: stripped unseen, a misspelt maximum price
 * would be no maximum. The model is told that there are none.
 */
const open = (properties: z.ZodRawShape): z.ZodObject => z.looseObject(properties).meta({ additionalProperties: false });

export const fetchInput = (): FetchInput =>
  open({
    ...shape(),
    maxPriceSats: z.number().meta({ description: "Most sats to pay for this call, without routing fee. It can only tighten the configured limits. 0: pay nothing.", type: "integer", minimum: 0 }).optional(),
    offset: z.number().meta({ description: "Character to read on from, in a body that an earlier call with the same arguments returned in part. Costs nothing.", type: "integer", minimum: 0 }).optional(),
  }) as unknown as FetchInput;
export const quoteInput = (): QuoteInput => open(shape()) as unknown as QuoteInput;
export const noInput = (): NoInput => z.object({});

/** A request that may be sent. */
export interface ToolRequest {
  readonly url: URL;
  readonly init: { readonly method: string; readonly headers: Record<string, string>; readonly body?: string };
}

const URL_MAX = 8_192;
const HEADERS_MAX = 50;
const HEADER_VALUE_MAX = 8_192;

/** Headers that carry credentials, that the transport sets, or that decide how a message is framed (RFC 9110, 9112). */
const REFUSED: ReadonlySet<string> = new Set([
  "authorization", "cookie", "cookie2", "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "content-length", "expect", "via", "www-authenticate", "x-payment", "payment-signature",
]);
const isRefused = (name: string): boolean => REFUSED.has(name) || name.startsWith("proxy-") || name.startsWith("sec-") || name.includes("macaroon");

/** The request, or a sentence that says what is wrong with it; the sentence repeats nothing of the input but names. */
export function readRequest(input: z.output<QuoteInput>): ToolRequest | string {
  const url = input.url.length <= URL_MAX ? URL.parse(input.url) : null;
  if (url === null) return "The url is not an absolute URL, such as https://api.example.com/path.";
  if (url.protocol !== "https:" && url.protocol !== "http:") return "The url must begin with https://.";
  if (url.username !== "" || url.password !== "") return "The url must not contain a user name or password.";
  url.hash = "";

  const method = (input.method ?? (input.body === undefined ? "GET" : "POST")).toUpperCase();
  if (!METHODS.includes(method)) return `The method must be one of ${METHODS.join(", ")}.`;
  if (input.body !== undefined && (method === "GET" || method === "HEAD")) return `A ${method} request cannot have a body.`;

  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  const entries = Object.entries(input.headers ?? {});
  if (entries.length > HEADERS_MAX) return `At most ${HEADERS_MAX} headers can be sent.`;
  for (const [given, value] of entries) {
    const name = given.toLowerCase();
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]{1,100}$/.test(name)) return "A header has a name that is not one.";
    if (isRefused(name)) return `The header ${name} cannot be set here.`;
    if (value.length > HEADER_VALUE_MAX || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return `The header ${name} has a value that cannot be sent.`;
    headers[name] = value;
  }
  if (input.body !== undefined && headers["content-type"] === undefined && isJson(input.body)) headers["content-type"] = "application/json";
  return { url, init: { method, headers: { ...headers }, ...(input.body === undefined ? {} : { body: input.body }) } };
}

function isJson(body: string): boolean {
  try {
    return typeof JSON.parse(body) === "object";
  } catch {
    return false;
  }
}

/** A whole number that can be meant; `undefined` when it was left out, `null` when it is none. */
export function wholeNumber(value: number | undefined): number | undefined | null {
  return value === undefined || (Number.isInteger(value) && value >= 0 && value <= MAX_SATS) ? value : null;
}

/** Identity of a request with all that was asked: another `accept` is another answer. */
export function fingerprint({ url, init }: ToolRequest): string {
  const headers = Object.entries(init.headers).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([init.method, url.href, headers, init.body ?? null]);
  return sha256Hex(new TextEncoder().encode(text));
}

/** The arguments, or a sentence that says what is wrong with them. */
export function readArguments<Schema extends z.ZodObject>(schema: Schema, input: unknown): z.output<Schema> | string {
  const parsed = schema.safeParse(input);
  if (!parsed.success) return issuesOf(parsed.error);
  const unknown = Object.keys(parsed.data).find((name) => !Object.hasOwn(schema.shape, name));
  if (unknown === undefined) return parsed.data;
  return `There is no argument ${quoted(unknown, 60)}; the arguments are ${Object.keys(schema.shape).join(", ")}.`;
}

/** What zod has to say, in one line, without values. */
function issuesOf(error: z.ZodError): string {
  return error.issues.slice(0, 5).map(({ path, message }) => `${path.map(String).join(".") || "the arguments"}: ${message}`).join("; ");
}
