/** The built declarations beside each version of `ai` that is supported, strictly type-checked. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const run = promisify(execFile);
const here = fileURLToPath(new URL("..", import.meta.url));
const root = join(here, "../..");

/** As an application would write it. */
const app = `
import { L402Client } from "@l402-tools/core";
import { l402BalanceTool, l402FetchTool, l402QuoteTool, l402SpendingReportTool, l402Tools, type AiSdkToolOptions, type FetchResult } from "@l402-tools/ai-sdk";
import { generateText, stepCountIs, streamText, type InferUITools, type LanguageModel, type Tool, type ToolSet } from "ai";
declare const client: L402Client;
declare const model: LanguageModel;
const options: AiSdkToolOptions = { allowHosts: ["localhost:8402"], thread: "chat-1" };
export const one: ToolSet = { l402_fetch: l402FetchTool(client, options), l402_quote: l402QuoteTool(client), l402_balance: l402BalanceTool(client), l402_spending_report: l402SpendingReportTool(client) };
export const all: ToolSet = l402Tools(client, options);
export const plain: Tool = l402FetchTool(client);
const tools = l402Tools(client);
export async function go(): Promise<void> {
  const result = await generateText({ model, tools, prompt: "go", stopWhen: stepCountIs(5) });
  for (const { toolName, output } of result.staticToolResults) if (toolName === "l402_fetch") { const paid: number = output.paidSats; void paid; }
  await streamText({ model, tools, prompt: "go" }).consumeStream();
}
type Ui = InferUITools<typeof tools>;
export const output: Ui["l402_fetch"]["output"] = {} as FetchResult;
export const input: Ui["l402_fetch"]["input"] = { url: "https://api.example.com/", maxPriceSats: 5 };
// @ts-expect-error -- a URL is text
export const wrong: Ui["l402_fetch"]["input"] = { url: 5 };
`;

test.each([["5.0.277", "ai-v5"], ["6.0.326", "ai-v6"], ["7.0.173", "ai"]])("ai %s", async (version, installed) => {
  const dir = await mkdtemp(join(tmpdir(), "l402-ai-sdk-"));
  try {
    const modules = join(dir, "node_modules");
    await mkdir(join(modules, "@l402-tools/ai-sdk"), { recursive: true });
    await symlink(await realpath(join(here, "node_modules", installed)), join(modules, "ai"));
    await symlink(join(root, "packages/core"), join(modules, "@l402-tools/core"));
    await symlink(await realpath(join(here, "node_modules/@types")), join(modules, "@types"));
    // A copy, so that its peer is found beside it.
    await cp(join(here, "dist"), join(modules, "@l402-tools/ai-sdk/dist"), { recursive: true });
    await cp(join(here, "package.json"), join(modules, "@l402-tools/ai-sdk/package.json"));
    await writeFile(join(dir, "package.json"), '{ "type": "module" }');
    expect(JSON.parse(await readFile(join(modules, "ai/package.json"), "utf8"))).toMatchObject({ version });
    await writeFile(join(dir, "app.ts"), app);
    const options = { target: "es2023", lib: ["es2023", "esnext.disposable", "dom"], module: "nodenext", types: ["node"], strict: true, exactOptionalPropertyTypes: true, skipLibCheck: true, noEmit: true };
    await writeFile(join(dir, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["app.ts"] }));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const output = await run(process.execPath, [tsc, "-p", dir, "--pretty", "false"]).then(({ stdout }) => stdout, (failure: { stdout: string }) => failure.stdout);
    expect(output).toBe("");
    await writeFile(join(dir, "app.mjs"), 'import { l402Tools } from "@l402-tools/ai-sdk"; console.log(Object.keys(l402Tools({})).join());');
    expect((await run(process.execPath, [join(dir, "app.mjs")], { cwd: dir })).stdout.trim()).toBe("l402_fetch,l402_quote,l402_balance,l402_spending_report");
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
