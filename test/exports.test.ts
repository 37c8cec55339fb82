/** The public names of every entry are pinned, and every error class keeps its promises in both builds of core. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as esm from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { packages, source } from "./source.ts";

interface Condition {
  types?: string;
  default?: string;
  import?: Condition;
}

const entries = packages()
  .filter(({ manifest }) => manifest.private !== true)
  .flatMap(({ dir, manifest }) =>
    Object.entries(manifest.exports ?? {})
      .filter(([path]) => path !== "./package.json")
      .map(([path, target]) => {
        const { import: imported, ...direct } = target as Condition;
        return { name: manifest.name + path.slice(1), types: join(dir, (imported ?? direct).types ?? "no types") };
      }),
  );

/** Names that a declaration file exports, types marked as such. */
function publicNames(declarations: string): string[] {
  const { program } = source(declarations);
  const names: string[] = [];
  for (const statement of program["body"] as Record<string, unknown>[]) {
    if (statement["type"] === "ExportAllDeclaration") throw new Error(`${declarations} exports all of another file`);
    if (statement["type"] === "ExportDefaultDeclaration") names.push("default");
    if (statement["type"] !== "ExportNamedDeclaration") continue;
    for (const specifier of statement["specifiers"] as { exported: { name: string }; exportKind: string }[]) {
      names.push(specifier.exportKind === "type" ? `type ${specifier.exported.name}` : specifier.exported.name);
    }
    const declaration = statement["declaration"] as { id?: { name: string }; declarations?: { id: { name: string } }[] } | null;
    for (const name of [declaration?.id?.name, ...(declaration?.declarations ?? []).map(({ id }) => id.name)]) if (name) names.push(name);
  }
  return names.sort();
}

test("no public name comes or goes unnoticed", async () => {
  for (const { name, types } of entries) expect(existsSync(types), `${name} has declarations`).toBe(true);
  const all = Object.fromEntries(entries.map(({ name, types }) => [name, publicNames(types)]));
  // After a decision: npx -y pnpm@12 exec vitest run --project test exports -u
  await expect(`${JSON.stringify(all, null, 2)}\n`).toMatchFileSnapshot("exports.json");
});

const SECRET = "1f".repeat(32);
const cause = new Error("inner", { cause: { preimage: SECRET } });

/** One of each, as the engine makes them. */
const make: Record<string, (core: typeof esm) => esm.L402Error> = {
  L402Error: (core) => new core.L402Error("invalid_options", "budgetSats must be a whole number", { cause }),
  BudgetExceededError: (core) => new core.BudgetExceededError("Too dear.", { url: "https://a.example/", required: 11, remaining: 10 }),
  PolicyError: (core) => new core.PolicyError("policy_price", "Too dear.", { cause }),
  ChallengeError: (core) => new core.ChallengeError("Two credentials.", { cause }),
  InvoiceError: (core) => new core.InvoiceError("invoice_expired", "Too late.", { cause }),
  PaymentFailedError: (core) => new core.PaymentFailedError("No route.", { reason: "no_route", cause }),
  PaymentUnknownError: (core) => new core.PaymentUnknownError("Timed out.", "ab".repeat(32), { cause }),
  CredentialRejectedError: (core) => new core.CredentialRejectedError("Refused.", { paymentHash: "ab".repeat(32), status: 401 }),
  StoreError: (core) => new core.StoreError("store_unavailable", "No answer.", { cause }),
  TransportError: (core) => new core.TransportError("transport_failed", "Reset.", { cause }),
  QueueFullError: (core) => new core.QueueFullError("queue_full", "100 payments wait."),
};

const paid: Record<string, esm.Paid> = { PaymentUnknownError: "unknown", CredentialRejectedError: "yes" };

const cjs = createRequire(import.meta.url)("@l402-tools/core") as typeof esm;

test("both builds of core are in this process, and every error class of theirs is tried", () => {
  expect(cjs.L402Error).not.toBe(esm.L402Error);
  for (const core of [esm, cjs]) {
    const classes = Object.entries(core).filter(([, value]) => {
      const isClass = typeof value === "function" && value.prototype instanceof Error;
      return isClass;
    });
    expect(classes.map(([name]) => name).sort()).toEqual(Object.keys(make).sort());
  }
});

describe.each([
  { build: "ESM", core: esm, other: cjs },
  { build: "CJS", core: cjs, other: esm },
])("an error of the $build build", ({ core, other }) => {
  test.each(Object.keys(make))("%s says what happened to the money, and keeps its cause to itself", (name) => {
    const error = make[name]!(core);
    expect(error).toBeInstanceOf(core.L402Error);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.code).toMatch(/^[a-z]+(_[a-z]+)+$/);
    expect(error.paid).toBe(paid[name] ?? "no");
    expect(error.retryable).toBe(name === "QueueFullError");
    expect(core.isL402Error(error)).toBe(true);
    expect(other.isL402Error(error), "known to the other copy").toBe(true);

    const json = JSON.stringify(error);
    expect(JSON.parse(json)).toMatchObject({ name, code: error.code, message: error.message, paid: error.paid, retryable: error.retryable });
    expect(json).not.toContain(SECRET);
    expect(json).not.toContain("inner");
    expect(Object.keys(error)).not.toContain("cause");
    expect(error.toString()).not.toContain(SECRET);
  });

  test("nothing else is taken for one", () => {
    const lookalike = { name: "L402Error", code: "budget_exceeded", paid: "no", retryable: false, message: "" };
    for (const value of [undefined, null, 0, "L402Error", new Error("no"), lookalike]) expect(core.isL402Error(value)).toBe(false);
  });
});
