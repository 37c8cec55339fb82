/**
 * The transport for URLs that someone else chose, such as a model: only the public internet, only https, everything
 * bounded. For Node and Deno; what it does and does not do is in docs/guides/transport.md.
 */
import { createGuardedFetch, type GuardedFetch } from "./guarded-fetch.ts";
import type { GuardedFetchOptions } from "./options.ts";

export type { GuardedFetch } from "./guarded-fetch.ts";
export type { GuardedFetchOptions, Lookup } from "./options.ts";

/**
 * A `fetch` that reaches nothing but public https hosts, and those that `allowHosts` names. Addresses are checked as
 * literals, as DNS answers and on the connected socket, for each hop of a redirect. It ignores the proxy variables
 * (`HTTP_PROXY` and the like) and undici's global dispatcher: behind a proxy no address could be checked.
 *
 * With `redirect: "manual"` one call is one hop; with `"follow"` it follows at most 5, each checked.
 *
 * @throws {L402Error} `invalid_options`, at construction.
 * @throws {TransportError} `transport_blocked` (nothing was sent to that host), `transport_limit` when a bound was passed,
 * `transport_failed` for an answer that cannot be used. Other failures and aborts reject as those of `fetch` do.
 */
export function guardedFetch(options: GuardedFetchOptions = {}): GuardedFetch {
  return createGuardedFetch(options);
}
