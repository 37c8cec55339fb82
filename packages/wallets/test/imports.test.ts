/** What an import costs: nostr-tools is loaded by who pays with it, and the wallets of browsers need nothing of Node. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const src = new URL("../src/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, src), "utf8");
/** Modules that a file imports at once, not only for types. */
const imports = (file: string): string[] => [...read(file).matchAll(/^(?:import|export) (?!type\b)(?:[^;]*? from )?"([^"]+)";$/gm)].map(([, from]) => from ?? "");

function closure(file: string, seen: Set<string> = new Set()): Set<string> {
  for (const from of imports(file)) {
    if (seen.has(from)) continue;
    seen.add(from);
    if (from.startsWith("./")) closure(from.slice(2), seen);
  }
  return seen;
}

test("nostr-tools is only imported when it is needed", () => {
  for (const file of readdirSync(src)) expect(imports(file).filter((from) => from.startsWith("nostr-tools")), file).toEqual([]);
  expect(read("nwc.ts")).toContain('await import("nostr-tools/pure")');
});

test.each(["webln.ts", "nwc.ts"])("%s runs in a browser", (file) => {
  expect([...closure(file)].filter((from) => from.startsWith("node:"))).toEqual([]);
  expect(closure(file)).toContain("@l402-tools/core");
});

test("certificates are verified: nothing in here can switch that off", () => {
  for (const file of readdirSync(src)) expect(read(file), file).not.toMatch(/rejectUnauthorized: (?!true\b)|checkServerIdentity/);
});
