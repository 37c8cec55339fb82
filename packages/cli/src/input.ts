/** What comes in: standard input, request bodies, and a person's answer. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { resolve } from "node:path";
import type { PaymentIntent } from "@l402-tools/core";
import { UsageError } from "./errors.ts";
import type { In, Io } from "./terminal.ts";
import { place, quoted, sats } from "./text.ts";

export async function readAll(stdin: In): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

/** A body as `-d` names it: text, `@file`, or `@-` for standard input; several are joined by `&`. */
export async function readData(parts: readonly string[], io: Io): Promise<Buffer | undefined> {
  if (parts.length === 0) return undefined;
  const read: Buffer[] = [];
  for (const part of parts) {
    if (read.length > 0) read.push(Buffer.from("&"));
    if (part === "@-") read.push(await readAll(io.stdin));
    else if (!part.startsWith("@")) read.push(Buffer.from(part));
    else {
      const path = resolve(io.cwd, part.slice(1));
      read.push(
        await readFile(path).catch((error: unknown) => {
          throw new UsageError(`The file of -d, ${path}, cannot be read (${(error as { code?: string }).code ?? "unreadable"}).`);
        }),
      );
    }
  }
  return Buffer.concat(read);
}

/** Whether there is a person to ask. */
export const hasPerson = ({ stdin, stderr }: Io): boolean => stdin.isTTY === true && stderr.isTTY === true;

/** What a person is asked about one exact invoice. Description and URL are a stranger's words. */
export function question(intent: PaymentIntent): string {
  const { amountSats, maxFeeSats, host, method, url, payee, description, remainingSats } = intent;
  return [
    `Pay ${sats(amountSats)}${maxFeeSats > 0 ? `, and up to ${sats(maxFeeSats)} of fee,` : ""} to ${host}?`,
    `  for    ${method} ${place(url)}`,
    `  payee  ${payee}`,
    ...(description === "" ? [] : [`  they say ${quoted(description, 200)}`]),
    ...(remainingSats === null ? [] : [`  left in the budget after it: ${sats(remainingSats)}`]),
    "[y/N] ",
  ].join("\n");
}

/** Only a plain yes is one. */
export const isYes = (answer: string): boolean => /^(y|yes)$/i.test(answer.trim());

export async function ask(intent: PaymentIntent, io: Io, signal: AbortSignal): Promise<boolean> {
  // Not in raw mode: Ctrl-C stays the terminal's.
  const lines = createInterface({ input: io.stdin, output: io.stderr as unknown as NodeJS.WritableStream, terminal: false });
  try {
    // The end of the input is no answer: it ends the wait.
    const ended = new Promise<string>((resolveEnded) => lines.once("close", () => resolveEnded("")));
    return isYes(await Promise.race([lines.question(question(intent), { signal }), ended]));
  } finally {
    lines.close();
  }
}
