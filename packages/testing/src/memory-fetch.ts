import type { Answer } from "./answer.ts";

/** Undici's limit on the header section. */
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_REDIRECTS = 20;

const failed = (code: string): TypeError => new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code }) });

function toResponse(answer: Answer, request: Request, redirected: boolean): Response {
  const size = answer.headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
  if (answer.drop === "before") throw failed("UND_ERR_SOCKET");
  if (size > MAX_HEADER_BYTES) throw failed("UND_ERR_HEADERS_OVERFLOW");
  const headers = new Headers();
  for (const [name, value] of answer.headers) headers.append(name, value);
  let body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null = answer.unpacked?.() ?? (answer.body as Uint8Array<ArrayBuffer>);
  if (answer.drop === "in-body") {
    const part = answer.body instanceof Uint8Array ? answer.body.subarray(0, answer.body.length >> 1) : new Uint8Array([32]);
    body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(part),
      pull: (controller) => controller.error(new TypeError("terminated", { cause: failed("UND_ERR_SOCKET").cause })),
    });
  }
  if (request.method === "HEAD" || answer.status === 204 || answer.status === 304) body = null;
  const response = new Response(body, { status: answer.status, headers });
  Object.defineProperty(response, "url", { value: request.url.replace(/#.*$/, "") });
  Object.defineProperty(response, "redirected", { value: redirected });
  return response;
}

/** Settles as `work` does, or as soon as the request is aborted. */
function unlessAborted<T>(request: Request, work: Promise<T>): Promise<T> {
  const { signal } = request;
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error);
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/** `fetch` without a socket: redirects, aborts and broken connections as the platform's. */
export function memoryFetch(handle: (request: Request) => Promise<Answer>): typeof fetch {
  const fetchOnce = async (request: Request, hops: number): Promise<Response> => {
    const response = await unlessAborted(
      request,
      handle(request.clone()).then((answer) => toResponse(answer, request, hops > 0)),
    );
    const location = response.headers.get("location");
    if (location === null || response.status < 300 || response.status > 399 || request.redirect === "manual") return response;
    if (request.redirect === "error" || hops >= MAX_REDIRECTS) throw failed("UND_ERR_REDIRECT");
    await response.body?.cancel();
    const target = new URL(location, request.url);
    const headers = new Headers(request.headers);
    if (target.origin !== new URL(request.url).origin) {
      headers.delete("authorization");
      headers.delete("cookie");
    }
    const same = response.status === 307 || response.status === 308 || request.method === "HEAD";
    const method = same ? request.method : "GET";
    const body = same && request.body !== null ? { body: await request.clone().arrayBuffer() } : {};
    return fetchOnce(new Request(target, { method, headers, signal: request.signal, ...body }), hops + 1);
  };
  return async (input, init) => fetchOnce(new Request(input, init), 0);
}
