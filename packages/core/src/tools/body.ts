/** Reads a body within bounds, and tells text from bytes. */
import { isL402Error } from "../errors.ts";
import { sha256Hex } from "../identity.ts";
import { plain, visible } from "./words.ts";

export interface Body {
  /** `null`: it is not text. */
  readonly text: string | null;
  readonly binary: { readonly bytes: number; readonly sha256: string | null } | null;
  readonly truncated: boolean;
  readonly broken: { readonly code: string; readonly why: string } | null;
}

/** Media types that are text, whatever the server calls their charset. */
const TEXT_TYPE = /^text\/|^application\/(?:[\w.+-]+\+)?(?:json|xml|yaml)$|^application\/(?:x-ndjson|ndjson|jsonl|json-seq|javascript|ecmascript|x-javascript|x-yaml|toml|sql|graphql|x-www-form-urlencoded|xhtml)|^(?:image|message)\/[\w.-]+\+xml$|^multipart\//;

/** At most `maxBytes` of a body, of its text what can be seen, through `conceal`. A body that breaks off is what arrived of it; this never throws. */
export async function readBody(response: Response, maxBytes: number, contentType: string | null, signal: AbortSignal | undefined, conceal: (text: string) => string): Promise<Body> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let truncated = false;
  let broken: Body["broken"] = null;
  const reader = response.body?.getReader();
  const onAbort = (): void => void reader?.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal?.aborted) onAbort();
    while (reader !== undefined) {
      const { done, value } = await reader.read();
      if (done) break;
      const room = maxBytes - size;
      truncated = value.byteLength > room;
      chunks.push(truncated ? value.subarray(0, room) : value);
      size += Math.min(room, value.byteLength);
      if (truncated) break;
    }
    if (signal?.aborted) broken = { code: "aborted", why: "The call was stopped while the body was read." };
  } catch (error) {
    broken = isL402Error(error) ? { code: error.code, why: plain(error.message, 300) } : { code: "body_incomplete", why: "The connection broke while the body was read." };
  } finally {
    signal?.removeEventListener("abort", onAbort);
    reader?.cancel().catch(() => {});
  }
  const bytes = joined(chunks, size);
  const whole = !truncated && broken === null;
  const text = decode(bytes, whole, contentType);
  if (text === null) return { text, binary: { bytes: size, sha256: whole ? sha256Hex(bytes) : null }, truncated, broken };
  return { text: conceal(visible(text)), binary: null, truncated, broken };
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** By byte order mark, then by charset, then UTF-8 (Encoding standard); `null` when it is not text. */
function decode(bytes: Uint8Array, whole: boolean, contentType: string | null): string | null {
  const type = /^\s*([^\s;]+)/.exec(contentType ?? "")?.[1]?.toLowerCase();
  if (type !== undefined && !TEXT_TYPE.test(type)) return null;
  const charset = /;\s*charset\s*=\s*"?([\w:.-]+)/i.exec(contentType ?? "")?.[1];
  const marked = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? "utf-8" : undefined;
  const text = decoder(marked ?? charset ?? "utf-8").decode(bytes, { stream: !whole });
  // A body that says nothing of its type, or lies, and is full of what no text has.
  if (text.includes("\0")) return null;
  if (type === undefined && text.includes("\ufffd")) return null;
  return text;
}

function decoder(label: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder("utf-8");
  }
}
