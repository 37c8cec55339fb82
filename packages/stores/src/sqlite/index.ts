/** `@l402-tools/stores/sqlite`: a ledger in a file, which outlives the process and is shared by several. */
export { sqliteStore } from "./store.ts";
export { acceptRestored } from "./accept.ts";
export type { LedgerEntry, SqliteStore } from "./store.ts";
export type { SqliteStoreOptions } from "./options.ts";
export type { PruneReport } from "./prune.ts";
export type { VerifyReport } from "./verify.ts";
