/** One promise of a contract, and how to try it. `Make` makes a fresh thing to try it on. */
export interface ContractCase<Make> {
  readonly name: string;
  run(make: Make): Promise<void>;
}

/** What `describeContract` needs of a test framework: vitest's, node:test's and jest's `test` all fit. */
export type TestFunction = (name: string, body: () => Promise<void>) => unknown;

/** Makes a test of each case: `describeContract(test, storeContract, make)`. */
export function describeContract<Make>(test: TestFunction, cases: readonly ContractCase<Make>[], make: Make): void {
  for (const one of cases) test(one.name, () => one.run(make));
}

/** Runs every case without a test framework; says which failed. */
export async function runContract<Make>(cases: readonly ContractCase<Make>[], make: Make): Promise<{ name: string; error?: unknown }[]> {
  const results: { name: string; error?: unknown }[] = [];
  for (const one of cases) {
    try {
      await one.run(make);
      results.push({ name: one.name });
    } catch (error) {
      results.push({ name: one.name, error });
    }
  }
  return results;
}
