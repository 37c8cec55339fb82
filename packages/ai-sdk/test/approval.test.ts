/** The user's yes by the AI SDK's own means, in each version, and what a stream shows of a call. */
import * as ai7 from "ai";
import * as mocks7 from "ai/test";
import * as ai5 from "ai-v5";
import * as mocks5 from "ai-v5/test";
import * as ai6 from "ai-v6";
import * as mocks6 from "ai-v6/test";
import { L402Client, type L402ClientOptions } from "@l402-tools/core";
import type { FetchResult } from "@l402-tools/core/tools";
import type { RouteOptions } from "@l402-tools/testing";
import { describe, expect, test } from "vitest";
import { assertNoSecrets, world, type World } from "../../langchain/test/cases.ts";
import { type ApprovalQuestion, l402Tools, toolApproval } from "../src/index.ts";

const routes: Record<string, RouteOptions> = {
  "/free": { body: "free goods" },
  "/cheap": { priceSats: 10, body: "cheap goods", credential: "single-use" },
  "/good": { priceSats: 200, body: "good goods", credential: "single-use", description: "weather of a week" },
  "/evil": { priceSats: 900, body: "evil goods", credential: "single-use" },
};
const options: Partial<L402ClientOptions> = { budgetSats: 2_000, approveAbove: 100 };

interface Part {
  readonly type: string;
  readonly approvalId?: string;
  readonly toolCallId?: string;
  readonly toolCall?: { readonly toolCallId: string };
  readonly reason?: string;
  readonly preliminary?: boolean;
  readonly output?: unknown;
}
type Message = Record<string, unknown>;
interface Answer {
  readonly content: Part[];
  readonly response: { readonly messages: Message[] };
  readonly steps: { readonly toolResults: { readonly toolCallId: string; readonly output: FetchResult }[] }[];
}
interface Version {
  readonly name: string;
  readonly ai: { generateText(options: object): Promise<Answer>; streamText(options: object): { fullStream: AsyncIterable<Part> }; stepCountIs(count: number): unknown };
  readonly model: (calls: readonly { id: string; url: string }[]) => { doGenerateCalls: { prompt: Message[] }[] };
}

function version(name: string, ai: unknown, Model: unknown, nested: boolean): Version {
  const { simulateReadableStream: simulate } = ai as { simulateReadableStream: (options: object) => unknown };
  const usage = nested ? { inputTokens: { total: 1 }, outputTokens: { total: 1 } } : { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
  return {
    name,
    ai: ai as Version["ai"],
    /** Makes these calls first, and is done after that. */
    model: (calls) => {
      let first = calls.length > 0;
      const next = (): { content: object[]; reason: string } => {
        const content = first ? calls.map(({ id, url }) => ({ type: "tool-call", toolCallId: id, toolName: "l402_fetch", input: JSON.stringify({ url }) })) : [{ type: "text", text: "done" }];
        const reason = first ? "tool-calls" : "stop";
        first = false;
        return { content, reason };
      };
      const finish = (reason: string): object => ({ finishReason: nested ? { unified: reason, raw: undefined } : reason, usage });
      return new (Model as new (options: object) => ReturnType<Version["model"]>)({
        doGenerate: () => {
          const { content, reason } = next();
          return Promise.resolve({ content, ...finish(reason), warnings: [] });
        },
        doStream: () => {
          const { content, reason } = next();
          const parts = content.flatMap((part) => ("text" in part ? [{ type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: part.text }, { type: "text-end", id: "1" }] : [part]));
          return Promise.resolve({ stream: simulate({ chunks: [{ type: "stream-start", warnings: [] }, ...parts, { type: "finish", ...finish(reason) }] }) });
        },
      });
    },
  };
}
const five = version("5", ai5, mocks5.MockLanguageModelV2, false);
const six = version("6", ai6, mocks6.MockLanguageModelV3, true);
const seven = version("7", ai7, mocks7.MockLanguageModelV4, true);

/** A chat: each turn makes its tools anew, as a route handler does, and sends the whole history. */
function chat({ ai, model, name }: Version, it: World, client: L402Client = it.client, thread = "chat-1") {
  const read: Message[] = [];
  const questions: (ApprovalQuestion & { toolCallId: string })[] = [];
  const history: Message[] = [{ role: "user", content: "go" }];
  const turn = async (calls: readonly { id: string; url: string }[]): Promise<Answer> => {
    const tools = l402Tools(client, { ...it.options, thread, onApproval: (question) => questions.push(question) });
    const scripted = model(calls);
    const result = await ai.generateText({ model: scripted, tools, messages: history, stopWhen: ai.stepCountIs(5), ...(name === "7" ? { toolApproval: toolApproval(tools) } : {}) });
    history.push(...result.response.messages);
    read.splice(0, read.length, ...(scripted.doGenerateCalls.at(-1)?.prompt ?? []));
    return result;
  };
  const requests = (answer: Answer): Part[] => answer.content.filter(({ type }) => type === "tool-approval-request");
  return {
    questions, history, read, requests,
    ask: (...paths: string[]) => turn(paths.map((path) => ({ id: `call-${path}`, url: `${it.paywall.url}${path}` }))),
    /** Answers of the user, by path. */
    answer: (asked: Answer, answers: Record<string, boolean>) => {
      history.push({ role: "tool", content: requests(asked).map(({ approvalId, toolCall }) => ({ type: "tool-approval-response", approvalId, approved: answers[(toolCall as { toolCallId: string }).toolCallId.slice(5)] })) });
      return turn([]);
    },
    again: () => turn([]),
  };
}

/** What the model reads of each call, by path. */
const texts = ({ read }: { read: Message[] }): Record<string, string> =>
  Object.fromEntries(
    read
      .filter(({ role }) => role === "tool")
      .flatMap(({ content }) => content as { type: string; toolCallId: string; output: { value?: string; type: string } }[])
      .filter(({ type }) => type === "tool-result")
      .map(({ toolCallId, output }) => [toolCallId.slice(5), (output.value ?? output.type).split("\n")[0] as string]),
  );

describe.each([six, seven])("ai $name", (each) => {
  test("the user is asked about the dear call only, with price, host, payee and purpose; the yes pays that invoice", async () => {
    const it = await world(routes, options);
    const user = chat(each, it);
    const asked = await user.ask("/free", "/cheap", "/good");
    expect(user.requests(asked)).toHaveLength(1);
    const sale = it.paywall.sales.find(({ path }) => path === "/good");
    expect(user.questions).toMatchObject([{ toolCallId: "call-/good", host: "paywall.example", amountSats: 200, payee: it.paywall.payee.publicKey, paymentHash: sale?.paymentHash }]);
    if (each.name === "7") expect(user.requests(asked)[0]?.reason).toBe(user.questions[0]?.text);
    expect(await it.client.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
    await user.answer(asked, { "/good": true });
    expect(texts(user)).toEqual({ "/free": "HTTP 200", "/cheap": "[Paid 10 sats] HTTP 200", "/good": "[Paid 200 sats] HTTP 200" });
    expect(it.paywall.paidSales.map(({ paymentHash }) => paymentHash)).toContain(sale?.paymentHash);
    expect(it.wallet.spentMsat).toBe(210_000n);
    // Free answers are asked for once: looking for the price was the request.
    expect(it.paywall.requests.filter(({ path }) => path === "/free")).toHaveLength(1);
    assertNoSecrets(it, user.history, user.questions);
  });

  test("a no pays nothing and holds nothing", async () => {
    const it = await world(routes, options);
    const user = chat(each, it);
    await user.answer(await user.ask("/good"), { "/good": false });
    expect(it.wallet.payCalls()).toBe(0);
    expect(await it.client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });

  test("two calls that ask at once: answers do not cross", async () => {
    for (const paths of [["/good", "/evil"], ["/evil", "/good"]]) {
      const it = await world(routes, options);
      const user = chat(each, it);
      await user.answer(await user.ask(...paths), { "/good": true, "/evil": false });
      expect(texts(user)["/good"]).toBe("[Paid 200 sats] HTTP 200");
      expect(it.wallet.spentMsat).toBe(200_000n);
      expect(it.paywall.paidSales.map(({ path }) => path)).toEqual(["/good"]);
    }
  });

  test("an approved history that is sent again pays nothing again", async () => {
    const it = await world(routes, options);
    const user = chat(each, it);
    const asked = await user.ask("/good");
    await user.answer(asked, { "/good": true });
    const replay = chat(each, it);
    replay.history.splice(0, 1, ...user.history.slice(0, 3));
    await replay.again();
    expect(texts(replay)["/good"]).toBe("[Paid 200 sats] HTTP 200");
    expect(it.wallet.payCalls()).toBe(1);
  });

  test("a yes in another chat, or after a restart, is for an invoice that nobody was shown: nothing is paid", async () => {
    const it = await world(routes, options);
    const user = chat(each, it);
    const asked = await user.ask("/good");
    const history = [...user.history, { role: "tool", content: user.requests(asked).map(({ approvalId }) => ({ type: "tool-approval-response", approvalId, approved: true })) }];
    const restarted = new L402Client({ wallet: it.wallet, network: "regtest", fetch: it.paywall.fetch, maxFee: { sats: 0 }, ...options });
    for (const [client, thread] of [[it.client, "chat-2"], [restarted, "chat-1"]] as const) {
      const other = chat(each, it, client, thread);
      other.history.splice(0, 1, ...history);
      await other.again();
      expect(texts(other)["/good"]).toBe("[Not paid] The invoice that the user approved cannot be paid any more, and the server sent a new one. Nothing was paid.");
      expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    }
    expect(it.wallet.payCalls()).toBe(0);
  });

  test("an invoice that ran out while the user thought is not paid, nor is the new one, which could be", async () => {
    const it = await world({ "/good": { priceSats: 200, invoiceExpirySeconds: 60 } });
    const later = await world({ "/good": { priceSats: 200, invoiceExpirySeconds: 3_600 } });
    for (const { shift, paid } of [{ shift: 45_000, paid: true }, { shift: 55_000, paid: false }]) {
      let now = 0;
      const clock = { now: () => Date.now() + now, sleep: (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms)) };
      const transport = ((...args: Parameters<typeof fetch>) => (now < 50_000 ? it : later).paywall.fetch(...args)) as typeof fetch;
      const client = new L402Client({ wallet: it.wallet, network: "regtest", clock, fetch: transport, ...options });
      const user = chat(each, it, client);
      const before = it.wallet.payCalls();
      const asked = await user.ask("/good");
      now = shift;
      await user.answer(asked, { "/good": true });
      expect(texts(user)["/good"]).toBe(paid ? "[Paid 200 sats] HTTP 200" : "[Not paid] The invoice that the user approved cannot be paid any more, and the server sent a new one. Nothing was paid.");
      expect(it.wallet.payCalls() - before).toBe(paid ? 1 : 0);
      expect(later.paywall.sales).toHaveLength(paid ? 0 : 1); // it was offered, and not taken
    }
  });

  test("a history that comes back from a database with its keys in another order is the same", async () => {
    const it = await world(routes, options);
    const tools = l402Tools(it.client, { ...it.options, thread: "chat-1" });
    const url = `${it.paywall.url}/good`;
    const ask = tools.l402_fetch.needsApproval as (input: object, options: object) => Promise<boolean>;
    expect(await ask({ url, headers: { a: "1", b: "2" } }, { toolCallId: "call-1", messages: [] })).toBe(true);
    const execute = tools.l402_fetch.execute as (input: object, options: object) => Promise<FetchResult>;
    expect(await execute({ headers: { b: "2", a: "1" }, url }, { toolCallId: "call-1", messages: [] })).toMatchObject({ ok: true, paidSats: 200 });
    // The question has had its effect: the same id is a new one.
    expect(await ask({ url, headers: { a: "1", b: "2" } }, { toolCallId: "call-1", messages: [] })).toBe(false);
    expect(it.wallet.payCalls()).toBe(1);
  });

  test("a call that a kept credential opens is not asked about", async () => {
    const it = await world({ "/good": { priceSats: 200, credential: "service", body: "goods" } }, options);
    const user = chat(each, it);
    await user.answer(await user.ask("/good"), { "/good": true });
    const second = chat(each, it, it.client, "chat-2");
    expect(second.requests(await second.ask("/good"))).toEqual([]);
    expect(it.wallet.payCalls()).toBe(1);
  });
});

test("ai 5 does not ask: the dear call is refused, the cheap one is bought", async () => {
  const it = await world(routes, options);
  const user = chat(five, it);
  await user.ask("/cheap", "/good");
  expect(texts(user)).toEqual({ "/cheap": "[Paid 10 sats] HTTP 200", "/good": "[Not paid] The payment of 200 sats to paywall.example was not approved. Nothing was paid." });
  expect(await it.client.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
});

test("where the client asks nobody, or asks by itself, the AI SDK asks nobody", async () => {
  const it = await world(routes);
  for (const own of [{}, { approve: () => true }, { approveAbove: 100, approve: () => true }]) {
    const tools = l402Tools(new L402Client({ wallet: it.wallet, network: "regtest", fetch: it.paywall.fetch, ...own }), it.options);
    expect(tools.l402_fetch.needsApproval).toBeUndefined();
    expect(toolApproval(tools)).toEqual({});
  }
  expect(toolApproval({ other: {}, none: null })).toEqual({});
});

describe("progress", () => {
  test.each([five, six, seven])("ai $name: preliminary results say what the call waits for, and the last is the whole result", async ({ ai, model }) => {
    const it = await world(routes, { budgetSats: 1_000 });
    const tools = l402Tools(it.client, it.options);
    const { fullStream } = ai.streamText({ model: model([{ id: "call-1", url: `${it.paywall.url}/good` }]), tools, prompt: "go", stopWhen: ai.stepCountIs(5) });
    const results: Part[] = [];
    for await (const part of fullStream) if (part.type === "tool-result") results.push(part);
    const outputs = results.map(({ output, preliminary }) => [preliminary ?? false, (output as FetchResult).progress?.stage ?? null, (output as FetchResult).paidSats]);
    // The last preliminary result is the result, which is then given once more as such.
    expect(outputs).toEqual([[true, "price", 0], [true, "payment", 0], [true, "body", 0], [true, null, 200], [false, null, 200]]);
    assertNoSecrets(it, results);
  });

  test("a step that comes while another is being shown is not missed", async () => {
    let pay = (): void => {};
    const gate = new Promise<void>((resolve) => (pay = resolve));
    const it = await world(routes);
    const real = it.wallet.asSimple();
    const client = new L402Client({ wallet: { payInvoice: async (invoice) => { await gate; return real.payInvoice(invoice); } }, network: "regtest", fetch: it.paywall.fetch });
    const execute = l402Tools(client, it.options).l402_fetch.execute as (input: object, options: object) => AsyncIterable<FetchResult>;
    const stages: unknown[] = [];
    for await (const { progress } of execute({ url: `${it.paywall.url}/cheap` }, { toolCallId: "call-1", messages: [] })) {
      stages.push(progress?.stage);
      if (progress?.stage === "price") await new Promise((resolve) => setTimeout(resolve, 50)); // the payment begins meanwhile
      if (progress?.stage === "payment") pay();
    }
    expect(stages).toEqual(["price", "payment", "body", undefined]);
  });

  test("who calls execute directly awaits the result", async () => {
    const it = await world(routes);
    const { execute } = l402Tools(it.client, it.options).l402_fetch;
    const result = await (execute?.({ url: `${it.paywall.url}/cheap` }, { toolCallId: "call-1", messages: [], context: undefined as never }) as PromiseLike<FetchResult>);
    expect(result).toMatchObject({ ok: true, paidSats: 10, progress: null });
  });
});
