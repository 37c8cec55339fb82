/**
 * The guard: a small file beside the ledger (or where `guardPath` says) with the newest entry that the ledger is known
 * to have had. It is written after each commit, without a sync: it may lag, and is never ahead. A ledger that has less
 * than its guard, or another history, is an old copy that was put back.
 */
import { createHash } from "node:crypto";
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from "node:fs";

export interface GuardRecord {
  readonly ledger: string;
  readonly seq: bigint;
  readonly head: string;
}

export interface Guard {
  /** `undefined`: there is none, or it cannot be read. */
  read(): GuardRecord | undefined;
  /** Best effort: a guard that could not be written lags, which is no harm. */
  write(record: GuardRecord): void;
  /** Written, and on disk. @throws when it is not. */
  writeThrough(record: GuardRecord): void;
  close(): void;
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

function lineOf(record: GuardRecord): Buffer {
  const text = `l402-tools ledger guard 1 ${record.ledger} ${record.seq.toString().padStart(16, "0")} ${record.head}`;
  return Buffer.from(`${text} ${digest(text)}\n`);
}

function parse(line: string): GuardRecord | undefined {
  const match = /^(l402-tools ledger guard 1 ([0-9a-f]{32}) (\d{16}) ([0-9a-f]{64})) ([0-9a-f]{16})\n$/.exec(line);
  if (match === null || digest(match[1] as string) !== match[5]) return undefined;
  return { ledger: match[2] as string, seq: BigInt(match[3] as string), head: match[4] as string };
}

export function guardAt(path: string): Guard {
  let fd: number | undefined;
  let mayWrite = true;
  const open = (create: boolean): number | undefined => {
    if (fd !== undefined) return fd;
    for (const [flags, writable] of [
      [constants.O_RDWR | (create ? constants.O_CREAT : 0), true],
      [constants.O_RDONLY, false],
    ] as const) {
      try {
        fd = openSync(path, flags, 0o600);
        mayWrite = writable;
        return fd;
      } catch {
        // Absent, or not ours to write: the caller is told by `undefined`, or by `mayWrite`.
      }
    }
    return undefined;
  };
  return {
    read() {
      const file = open(false);
      if (file === undefined) return undefined;
      try {
        const buffer = Buffer.alloc(256);
        return parse(buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0)));
      } catch {
        return undefined;
      }
    },
    write(record) {
      const file = open(true);
      if (file === undefined || !mayWrite) return;
      try {
        const line = lineOf(record);
        writeSync(file, line, 0, line.length, 0);
      } catch {
        // It lags.
      }
    },
    writeThrough(record) {
      const file = open(true);
      if (file === undefined || !mayWrite) throw new Error(`cannot write ${path}`);
      const line = lineOf(record);
      writeSync(file, line, 0, line.length, 0);
      fsyncSync(file);
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
