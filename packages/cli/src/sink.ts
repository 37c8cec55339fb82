/** Where a bought body goes: standard output, or a file that was opened before anything was paid. */
import { constants } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { resolve } from "node:path";
import { UsageError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

export interface Sink {
  readonly file: string | undefined;
  /** `false`: nobody reads on. */
  write(chunk: Uint8Array): Promise<boolean>;
  /** All of it is written. */
  end(): Promise<void>;
  /** Nothing was written: a file that was not there before goes away again. */
  close(): Promise<void>;
  /** Whether control characters were replaced for a terminal. */
  readonly altered: boolean;
}

/** What would move a terminal's cursor or hide words; tabs and line breaks stay. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

function screen(terminal: Terminal): Sink {
  const decoder = new TextDecoder();
  let altered = false;
  const show = (text: string): Promise<boolean> => {
    const safe = text.replaceAll(CONTROL, "\ufffd");
    altered ||= safe !== text;
    return terminal.write(safe);
  };
  return {
    file: undefined,
    write: (chunk) => show(decoder.decode(chunk, { stream: true })),
    async end() {
      await show(`${decoder.decode()}\n`);
    },
    close: async () => {},
    get altered() {
      return altered;
    },
  };
}

/** @throws {UsageError} when the file cannot be written. */
export async function openSink(path: string | undefined, terminal: Terminal): Promise<Sink> {
  if (path === undefined || path === "-") {
    if (terminal.io.stdout.isTTY === true) return screen(terminal);
    return { file: undefined, altered: false, write: (chunk) => terminal.write(chunk), end: async () => {}, close: async () => {} };
  }
  const file = resolve(terminal.io.cwd, path);
  const tryOpen = (flags: number) => open(file, constants.O_WRONLY | flags, 0o666);
  let isNew = true;
  let started = false;
  const handle = await tryOpen(constants.O_CREAT | constants.O_EXCL)
    .catch((error: { code?: string }) => {
      if (error.code !== "EEXIST") throw error;
      isNew = false;
      return tryOpen(0);
    })
    .catch((error: { code?: string }) => {
      throw new UsageError(`The file of -o, ${file}, cannot be written (${error.code ?? "unwritable"}). Nothing was sent.`);
    });
  const start = async (): Promise<void> => {
    if (started) return;
    started = true;
    // What was in it before is kept until there is something else. Devices and pipes have no length.
    if (!isNew && (await handle.stat()).isFile()) await handle.truncate(0);
  };
  return {
    file,
    altered: false,
    async write(chunk) {
      await start();
      // One call may write a part only.
      for (let done = 0; done < chunk.length; ) done += (await handle.write(chunk, done)).bytesWritten;
      return true;
    },
    end: start,
    async close() {
      await handle.close();
      if (isNew && !started) await unlink(file);
    },
  };
}
