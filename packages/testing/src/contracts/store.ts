import type { ContractCase } from "./case.ts";
import type { MakeStore } from "./store-fixture.ts";
import { limitCases } from "./store-limits.ts";
import { recordCases } from "./store-records.ts";
import { reserveCases } from "./store-reserve.ts";
import { stateCases } from "./store-states.ts";

export type { MakeStore } from "./store-fixture.ts";

/** What makes something a store. `make` gives an empty store that tells the time by the given clock. */
export const storeContract: readonly ContractCase<MakeStore>[] = [...reserveCases, ...stateCases, ...limitCases, ...recordCases];
