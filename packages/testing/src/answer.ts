import { gzipSync } from "node:zlib";
import type { Clock } from "@l402-tools/core";

/** What goes back over the wire: headers keep their lines, and a body may be more than a client wants. */
export interface Answer {
  status: number;
  headers: (readonly [name: string, value: string])[];
  body: Uint8Array | ReadableStream<Uint8Array>;
  /** The connection breaks: before the answer, or in the middle of its body. */
  drop?: "before" | "in-body";
  /** What the body is once unpacked, where a content encoding is set. */
  unpacked?: () => ReadableStream<Uint8Array>;
}

/** A plain answer. */
export function answerOf(status: number, headers: Answer["headers"], body: string | Uint8Array): Answer {
  return { status, headers: [...headers], body: typeof body === "string" ? new TextEncoder().encode(body) : body };
}

/** A body without an end. */
export function endless(): ReadableStream<Uint8Array> {
  const chunk = new TextEncoder().encode("more of this. ".repeat(1024));
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(chunk);
    },
  });
}

/** A byte every `ms`. */
export function trickle(body: Uint8Array, ms: number, clock: Clock): ReadableStream<Uint8Array> {
  let at = 0;
  const stopped = new AbortController();
  return new ReadableStream({
    async pull(controller) {
      try {
        await clock.sleep(ms, stopped.signal);
      } catch {
        return;
      }
      controller.enqueue(body.subarray(at, at + 1));
      at += 1;
      if (at >= body.length) controller.close();
    },
    cancel() {
      stopped.abort();
    },
  });
}

/** Packs `bytes` of nothing. */
export function bomb(answer: Answer, bytes: number): Answer {
  return {
    ...answer,
    headers: [...answer.headers, ["Content-Encoding", "gzip"]],
    body: gzipSync(Buffer.alloc(bytes), { level: 9 }),
    unpacked: () => {
      let left = bytes;
      return new ReadableStream({
        pull(controller) {
          const size = Math.min(left, 64 * 1024);
          left -= size;
          controller.enqueue(new Uint8Array(size));
          if (left <= 0) controller.close();
        },
      });
    },
  };
}
