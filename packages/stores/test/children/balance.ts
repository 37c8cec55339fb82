/** Opens a ledger and asks what a balance asks. Argument: path. */
import { sqliteStore } from "../../src/sqlite/index.ts";

const store = sqliteStore({ path: process.argv[2] as string });
await store.usage([{ scope: "default" }, { scope: "default", domain: "*.example.com", windowMs: 3_600_000 }]);
await store.hosts("default");
await store.close();
