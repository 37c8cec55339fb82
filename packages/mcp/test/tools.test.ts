/** The tools as a library: what they say of themselves, and the adapter contract over the official client. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { L402Client } from "@l402-tools/core";
import { createL402Server, l402BalanceTool, l402FetchTool, l402QuoteTool, l402SpendingReportTool, l402Tools, registerL402Tools } from "@l402-tools/mcp";
import { adapterContract, createLightning, describeContract } from "@l402-tools/testing";
import { InMemoryTransport, McpServer } from "@modelcontextprotocol/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { client2, type Host, host2, type Tool } from "./hosts.ts";

async function connect(server: McpServer): Promise<Host & { end(): Promise<void>; instructions: string | undefined }> {
  const client = client2(undefined, "legacy");
  const [here, there] = InMemoryTransport.createLinkedPair();
  await server.connect(there);
  await client.connect(here);
  return { ...host2(client), instructions: client.getInstructions(), end: () => client.close() };
}

const anyClient = (): L402Client => new L402Client({ wallet: createLightning().wallet({}), budgetSats: 1_000, network: "regtest" });

describe("the adapter contract", () => {
  // MCP gives a call no name that outlives a repetition: what is sent again is another call, and so is its purchase.
  const cases = adapterContract.filter(({ name }) => name !== "the same tool call run again does not pay again");
  expect(cases).toHaveLength(adapterContract.length - 1);
  describeContract(test, cases, async (client) => {
    const host = await connect(createL402Server(client, { unguarded: true }));
    await host.tools();
    return {
      async call(name, input) {
        const { text, isError, structured } = await host.call(name, { ...input });
        return { text, isError, data: structured };
      },
      close: host.end,
    };
  });
});

test("tools are registered one by one or together, on a server of one's own", async () => {
  const client = anyClient();
  const server = new McpServer({ name: "mine", version: "1.0.0" });
  const own = l402FetchTool(client, { allowHosts: ["localhost:8402"] }).register(server);
  l402BalanceTool(client).register(server);
  const host = await connect(server);
  onTestFinished(() => host.end());
  expect((await host.tools()).map(({ name }) => name)).toEqual(["l402_fetch", "l402_balance"]);
  own.disable();
  expect((await host.tools()).map(({ name }) => name)).toEqual(["l402_balance"]);

  expect(l402Tools(client).map(({ name }) => name)).toEqual([l402FetchTool, l402QuoteTool, l402BalanceTool, l402SpendingReportTool].map((make) => make(client).name));
  expect(registerL402Tools(new McpServer({ name: "other", version: "1.0.0" }), client)).toHaveLength(4);
  expect(() => createL402Server(client, { allowHosts: "localhost" } as never)).toThrow(/allowHosts/);
});

describe("what a host reads", () => {
  const list = async (): Promise<readonly Tool[]> => {
    const host = await connect(createL402Server(anyClient()));
    const tools = await host.tools();
    expect(host.instructions).toMatch(/l402_fetch spends real money/);
    await host.end();
    return tools;
  };

  test("annotations are exact", async () => {
    const reading = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };
    expect(Object.fromEntries((await list()).map(({ name, annotations }) => [name, annotations]))).toEqual({
      l402_fetch: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
      l402_quote: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
      l402_balance: reading,
      l402_spending_report: reading,
    });
  });

  test("each tool says what it is for, when to use it and when another one, and what it does besides; in few words", async () => {
    const tools = await list();
    for (const { name, title = "", description = "" } of tools) {
      expect(title.length, name).toBeGreaterThan(8);
      expect(description.length, name).toBeGreaterThan(200);
      expect(description.length, name).toBeLessThan(1_100);
      expect(description, name).toMatch(/^(Requests|Asks|Returns|Lists) /);
      expect(description, name).toMatch(/\nUse it /);
      expect(description, name).toMatch(/\bNot for |To know only what is left, use /);
      expect(description, name).toMatch(/[Ss]pends (real money|nothing)|pays nothing/);
      const others = tools.map((tool) => tool.name).filter((other) => other !== name && description.includes(other));
      expect(others.length, `${name} names others`).toBeGreaterThan(0);
    }
    const balance = tools[2]?.description;
    expect(balance).toMatch(/^Returns the remaining Bitcoin Lightning budget for this MCP session/);
    expect(balance).toContain("Read-only and idempotent");
    expect(balance).toContain("Budget: 958 sats remaining of 1000 total (spent: 42 sats)");
  });

  test("every parameter and every field of a result is described; little is required", async () => {
    for (const { name, inputSchema, outputSchema } of await list()) {
      for (const [of, schema] of Object.entries({ input: inputSchema, output: outputSchema })) {
        for (const [property, { description = "" }] of Object.entries(schema?.properties ?? {})) {
          expect(description.length, `${name} ${of} ${property}`).toBeGreaterThan(10);
          expect(description.length, `${name} ${of} ${property}`).toBeLessThan(220);
        }
      }
      expect(inputSchema.required ?? []).toEqual(/fetch|quote/.test(name) ? ["url"] : []);
      expect(Object.keys(outputSchema?.properties ?? {})).toEqual(expect.arrayContaining(["ok", "error"]));
      if (!/fetch|quote/.test(name)) expect(inputSchema.properties).toEqual({});
    }
  });
});

describe("what directories read", () => {
  const root = join(import.meta.dirname, "..");
  const json = (name: string): Record<string, unknown> => JSON.parse(readFileSync(join(root, name), "utf8")) as Record<string, unknown>;
  type Variable = { name: string; description: string; isSecret?: boolean; isRequired?: boolean };
  const server = json("server.json") as { name: string; description: string; version: string; packages: { identifier: string; version: string; registryType: string; transport: { type: string }; environmentVariables: Variable[] }[] };

  test("server.json is of this package and version", () => {
    const { name, version, mcpName } = json("package.json") as { name: string; version: string; mcpName: string };
    expect(server).toMatchObject({ name: mcpName, version });
    expect(server.name).toMatch(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/);
    expect(server.description.length).toBeLessThanOrEqual(100);
    expect(server.packages).toMatchObject([{ identifier: name, version, registryType: "npm", transport: { type: "stdio" } }]);
    expect(json("glama.json")).toMatchObject({ $schema: "https://glama.ai/mcp/schemas/server.json", maintainers: [expect.any(String)] });
  });

  test("its variables are those of the program and of the README; every secret is marked", async () => {
    const { variables } = await import("../src/server/settings.ts");
    const listed = server.packages[0]?.environmentVariables ?? [];
    const ours = variables.map(({ name }) => name).filter((name) => name !== "L402_MCP_TOKEN");
    expect(listed.map(({ name }) => name).filter((name) => ours.includes(name))).toEqual(ours);
    for (const { name, description, isSecret = false } of listed) {
      expect(description.length, name).toBeGreaterThan(10);
      expect(isSecret, name).toBe(/KEY$|MACAROON|RUNE|PASSWORD|TOKEN|NWC_URL/.test(name));
    }
    const wallets = readFileSync(join(root, "../wallets/src/env.ts"), "utf8");
    for (const { name } of listed) if (!ours.includes(name)) expect(wallets, name).toContain(`"${name}"`);
    const readme = readFileSync(join(root, "README.md"), "utf8");
    for (const { name } of variables) expect(readme, name).toContain(`\`${name}\``);
  });

  test("the set-ups of the README are JSON, and use variables that there are", async () => {
    const { variables } = await import("../src/server/settings.ts");
    const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```json\n(.*?)```/gs)].map(([, block = ""]) => JSON.parse(block) as Record<string, Record<string, { args?: string[]; env?: Record<string, string> }>>);
    expect(blocks.length).toBeGreaterThanOrEqual(3);
    const known = new Set([...variables.map(({ name }) => name), ...(server.packages[0]?.environmentVariables ?? []).map(({ name }) => name)]);
    const setUps = blocks.flatMap((block) => Object.values(block["mcpServers"] ?? block["servers"] ?? {}));
    for (const { args, env } of setUps.filter(({ env }) => env !== undefined)) {
      expect(args).toEqual(["-y", "@l402-tools/mcp"]);
      for (const name of Object.keys(env ?? {})) expect(known.has(name), name).toBe(true);
    }
  });
});
