/** The official clients, 1 and 2, over stdio and HTTP, as one thing. */
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { onTestFinished } from "vitest";
import { BIN, type Place, TOKEN } from "./place.ts";

export type Action = "accept" | "decline" | "cancel";
/** What the person at the host says to a question; without it the host cannot ask. */
export type Person = (message: string) => Action | Promise<Action>;

export interface Answer {
  readonly text: string;
  readonly isError: boolean;
  readonly structured: Record<string, unknown> | undefined;
}

export interface CallOptions {
  readonly onprogress?: (progress: { progress: number; total?: number | undefined; message?: string | undefined }) => void;
  readonly signal?: AbortSignal;
}

export interface Host {
  tools(): Promise<readonly Tool[]>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<Answer>;
  close(): Promise<void>;
}

export interface Tool {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly inputSchema: { readonly properties?: Record<string, { readonly description?: string }> | undefined; readonly required?: readonly string[] | undefined };
  readonly outputSchema?: { readonly properties?: Record<string, { readonly description?: string }> | undefined } | undefined;
  readonly annotations?: object | undefined;
}

export interface Settings {
  readonly env?: Record<string, string | undefined>;
  readonly person?: Person | undefined;
}

const INFO = { name: "test host", version: "1.0.0" };
const can = (person: Person | undefined, elicitation: object = { form: {} }): { capabilities: { elicitation?: Record<string, never> } } => ({ capabilities: person === undefined ? {} : { elicitation: elicitation as Record<string, never> } });
const answerOf = ({ content, isError, structuredContent }: { content?: unknown; isError?: unknown; structuredContent?: unknown }): Answer => ({
  text: (content as { text: string }[]).map(({ text }) => text).join("\n"),
  isError: isError === true,
  structured: structuredContent as Record<string, unknown> | undefined,
});

export function client2(person?: Person, mode: "auto" | "legacy" = "auto", elicitation?: object): Client2 {
  const client = new Client2(INFO, { ...can(person, elicitation), versionNegotiation: { mode } });
  if (person !== undefined) client.setRequestHandler("elicitation/create", async ({ params }) => ({ action: await person(params.message) }));
  return client;
}

export function host2(client: Client2): Host {
  return {
    tools: async () => (await client.listTools()).tools as readonly Tool[],
    call: async (name, args = {}, options = {}) => answerOf(await client.callTool({ name, arguments: args }, options)),
    close: () => client.close(),
  };
}

function client1(person?: Person): Client1 {
  const client = new Client1(INFO, can(person));
  if (person !== undefined) client.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({ action: await person(params.message) }));
  return client;
}

function host1(client: Client1): Host {
  return {
    tools: async () => (await client.listTools()).tools as readonly Tool[],
    call: async (name, args = {}, options = {}) => answerOf((await client.callTool({ name, arguments: args }, undefined, options)) as object),
    close: () => client.close(),
  };
}

const HEADERS = { requestInit: { headers: { authorization: `Bearer ${TOKEN}` } } };
const stdio = ({ env, dir }: Place, more: Record<string, string | undefined> = {}) => {
  const all = Object.fromEntries(Object.entries({ ...env, ...more }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  return { command: process.execPath, args: [BIN], env: all, cwd: dir, stderr: "pipe" as const };
};

const ways: Readonly<Record<string, (place: Place, settings: Settings) => Promise<Host>>> = {
  async "client 1 over stdio"(place, { env, person }) {
    const client = client1(person);
    await client.connect(new Stdio1(stdio(place, env)));
    return host1(client);
  },
  async "client 1 over HTTP"(place, { env, person }) {
    const { url } = await place.http(env);
    const client = client1(person);
    await client.connect(new Http1(new URL(url), HEADERS) as never);
    return host1(client);
  },
  async "client 2 over stdio"(place, { env, person }) {
    const client = client2(person);
    await client.connect(new Stdio2(stdio(place, env)));
    return host2(client);
  },
  async "client 2 over HTTP"(place, { env, person }) {
    const { url } = await place.http(env);
    const client = client2(person);
    await client.connect(new Http2(new URL(url), HEADERS));
    return host2(client);
  },
};

/** Each connects a host to a server of its own. */
export const hosts: readonly { readonly name: string; connect(place: Place, settings?: Settings): Promise<Host> }[] = Object.entries(ways).map(([name, make]) => ({
  name,
  async connect(place, settings = {}) {
    const host = await make(place, settings);
    onTestFinished(() => host.close());
    // Only clients that have listed the tools check what these return.
    await host.tools();
    return host;
  },
}));
