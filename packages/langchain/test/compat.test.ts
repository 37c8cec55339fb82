/** The built package beside the oldest and the newest `@langchain/core` of its range, imported and required, run and type-checked. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const run = promisify(execFile);
const here = fileURLToPath(new URL("..", import.meta.url));
const root = join(here, "../..");

const body = `
const client = new L402Client({ wallet: { payInvoice: async () => { throw new Error("no"); } }, budgetSats: 7, fetch: async () => new Response("hello", { headers: { "content-type": "text/plain" } }) });
const tools = l402Tools(client, { unguarded: true });
const [fetchTool, , balance] = tools;
(async () => {
  const text = await fetchTool.invoke({ url: "https://api.example.com/" });
  const message = await fetchTool.invoke({ type: "tool_call", id: "call-1", name: "l402_fetch", args: { url: "https://api.example.com/" } });
  const refused = await fetchTool.invoke({ type: "tool_call", id: "call-2", name: "l402_fetch", args: { url: "ftp://example.com/" } });
  const schemas = tools.map((tool) => convertToOpenAITool(tool).function);
  console.log(JSON.stringify({ text, isMessage: message instanceof ToolMessage, name: message.name, id: message.tool_call_id, status: [message.status, refused.status], ok: message.artifact.ok, balance: await balance.invoke({}), schemas }));
})();
`;
const names = { "@l402-tools/core": "L402Client", "@l402-tools/langchain": "l402Tools", "@langchain/core/messages": "ToolMessage", "@langchain/core/utils/function_calling": "convertToOpenAITool" };
const scripts = {
  mjs: Object.entries(names).map(([from, name]) => `import { ${name} } from "${from}";`).join("\n") + body,
  cjs: Object.entries(names).map(([from, name]) => `const { ${name} } = require("${from}");`).join("\n") + body,
};

/** As an application would write it. */
const typed = `
import { L402Client } from "@l402-tools/core";
import { l402BalanceTool, l402FetchTool, l402QuoteTool, l402SpendingReportTool, l402Tools, type ToolOptions } from "@l402-tools/langchain";
import type { DynamicStructuredTool, StructuredToolInterface } from "@langchain/core/tools";
import type { BindToolsInput } from "@langchain/core/language_models/chat_models";
declare const client: L402Client;
const options: ToolOptions = { allowHosts: ["localhost:8402"] };
export const one: StructuredToolInterface = l402FetchTool(client, options);
export const any: DynamicStructuredTool = l402FetchTool(client);
export const list: StructuredToolInterface[] = [l402FetchTool(client), l402QuoteTool(client), l402BalanceTool(client), l402SpendingReportTool(client)];
export const all: StructuredToolInterface[] = l402Tools(client, options);
export const bound: BindToolsInput[] = l402Tools(client);
export const text: Promise<unknown> = l402FetchTool(client).invoke({ url: "https://api.example.com/", maxPriceSats: 5 });
// @ts-expect-error -- a URL is text
void l402FetchTool(client).invoke({ url: 5 });
`;

describe.each([["1.0.1", "langchain-core-v1.0"], ["1.4.0", "@langchain/core"]])("@langchain/core %s", (version, installed) => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "l402-langchain-"));
    const modules = join(dir, "node_modules");
    await mkdir(join(modules, "@langchain"), { recursive: true });
    await mkdir(join(modules, "@l402-tools/langchain"), { recursive: true });
    await symlink(await realpath(join(here, "node_modules", installed)), join(modules, "@langchain/core"));
    await symlink(join(root, "packages/core"), join(modules, "@l402-tools/core"));
    await symlink(await realpath(join(here, "node_modules/@types")), join(modules, "@types"));
    // A copy, so that its peer is found beside it.
    await cp(join(here, "dist"), join(modules, "@l402-tools/langchain/dist"), { recursive: true });
    await cp(join(here, "package.json"), join(modules, "@l402-tools/langchain/package.json"));
    await writeFile(join(dir, "package.json"), '{ "type": "module" }');
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test("is the version meant", async () => {
    const { default: manifest } = (await import(join(dir, "node_modules/@langchain/core/package.json"), { with: { type: "json" } })) as { default: { version: string } };
    expect(manifest.version).toBe(version);
  });

  test.each(["mjs", "cjs"] as const)("runs (%s)", async (kind) => {
    const file = join(dir, `use.${kind}`);
    await writeFile(file, scripts[kind]);
    const { stdout } = await run(process.execPath, [file], { cwd: dir });
    const got = JSON.parse(stdout) as { text: string; schemas: { name: string; parameters: { properties: Record<string, { description?: string }> } }[] };
    expect(got.text).toMatch(/^HTTP 200\nRemaining budget: 7 sats\./);
    expect(got).toMatchObject({ isMessage: true, name: "l402_fetch", id: "call-1", status: ["success", "error"], ok: true, balance: "Budget: 7 sats remaining of 7 total (spent: 0 sats)" });
    expect(got.schemas.map(({ name }) => name)).toEqual(["l402_fetch", "l402_quote", "l402_balance", "l402_spending_report"]);
    for (const { parameters } of got.schemas) for (const field of Object.values(parameters.properties)) expect(field.description).toMatch(/\w/);
  });

  test("type-checks, strictly", async () => {
    await writeFile(join(dir, "use.ts"), typed);
    const options = { target: "es2023", lib: ["es2023", "esnext.disposable"], module: "nodenext", types: ["node"], strict: true, exactOptionalPropertyTypes: true, skipLibCheck: true, noEmit: true };
    await writeFile(join(dir, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["use.ts"] }));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const output = await run(process.execPath, [tsc, "-p", dir, "--pretty", "false"]).then(({ stdout }) => stdout, (failure: { stdout: string }) => failure.stdout);
    expect(output).toBe("");
  });
});
