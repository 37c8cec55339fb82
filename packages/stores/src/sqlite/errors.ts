/** SQLite's errors, turned into ours: by its result codes (sqlite.org/rescode.html), of which the low byte is the kind. */
import { isL402Error, StoreError } from "@l402-tools/core";

const KIND = { BUSY: 5, LOCKED: 6, NOMEM: 7, READONLY: 8, IOERR: 10, CORRUPT: 11, FULL: 13, CANTOPEN: 14, PROTOCOL: 15, CONSTRAINT: 19, NOTADB: 26 } as const;

function kindOf(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** Somebody else has the lock: nothing was done, and it may be tried again. */
export function isBusy(error: unknown): boolean {
  const kind = kindOf(error);
  return kind === KIND.BUSY || kind === KIND.LOCKED || kind === KIND.PROTOCOL;
}

/** The file is damaged. */
export function isDamage(error: unknown): boolean {
  const kind = kindOf(error);
  return kind === KIND.CORRUPT || kind === KIND.NOTADB;
}

/** SQLite takes the file for no database at all, or for one whose header is damaged. */
export function isNoDatabase(error: unknown): boolean {
  return kindOf(error) === KIND.NOTADB;
}

/** The `StoreError` for whatever `error` is; `what` failed. */
export function storeError(error: unknown, what: string, path: string): Error {
  if (isL402Error(error)) return error;
  const ledger = `The ledger ${path}`;
  switch (kindOf(error)) {
    case KIND.BUSY:
    case KIND.LOCKED:
    case KIND.PROTOCOL:
      return new StoreError("store_unavailable", `${ledger} is locked by another process, and stayed so: ${what} was not done. Look for a process that holds a transaction open on it.`, { cause: error, retryable: true });
    case KIND.CORRUPT:
    case KIND.NOTADB:
      return new StoreError("store_corrupt", `${ledger} is damaged: ${what} was not done. Nothing is paid with it. Keep the file, restore the newest backup, and see "When the ledger was put back" in the README of @l402-tools/stores.`, { cause: error });
    case KIND.FULL:
      return new StoreError("store_unavailable", `The disk of the ledger ${path} is full: ${what} is not on record. Make room, then try again.`, { cause: error, retryable: true });
    case KIND.READONLY:
      return new StoreError("store_unavailable", `${ledger} cannot be written to (it, its folder or its file system is read-only): ${what} was not done.`, { cause: error });
    case KIND.CANTOPEN:
      return new StoreError("store_unavailable", `${ledger} cannot be opened: check that its folder exists and that this user may read and write it.`, { cause: error });
    case KIND.IOERR:
      return new StoreError("store_unavailable", `The disk of the ledger ${path} reported an error: it is not certain that ${what} is on record. Check the disk.`, { cause: error, retryable: true });
    case KIND.CONSTRAINT:
      return new StoreError("store_corrupt", `${ledger} contradicts itself: ${what} was not done. Run verify() on it.`, { cause: error });
    default:
      return new StoreError("store_unavailable", `${ledger} did not take ${what}.`, { cause: error });
  }
}
