import { tools, type L402Tool, type ToolResult } from "@l402-tools/core/tools";
import { describe, test } from "vitest";
import { adapterContract, describeContract } from "../src/index.ts";

/** The tools as core defines them, called without a framework. */
describe("the tools themselves keep the adapter contract", () => {
  describeContract(test, adapterContract, async (client) => {
    const all = new Map(tools(client, { unguarded: true }).map((tool) => [tool.name as string, tool as unknown as L402Tool<string, never, ToolResult>]));
    return {
      async call(name, input, { callId } = {}) {
        const tool = all.get(name);
        if (tool === undefined) throw new Error(`there is no tool ${name}`);
        const result = await tool.execute(input as never, { idempotencyKey: callId });
        return { text: tool.renderForModel(result), isError: result.error !== null, data: result };
      },
    };
  });
});
