/** From a command line and an environment to a server, until it is told to stop. */
import { parseArgs } from "node:util";
import { isL402Error, L402Client, memoryStore } from "@l402-tools/core";
import { walletFromEnv } from "@l402-tools/wallets/env";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { createL402Server } from "../index.ts";
import { serveHttp } from "./http.ts";
import { type Env, inVariables, readSettings, type Settings, SettingsError, variables } from "./settings.ts";

declare const __VERSION__: string;

const PORT = 4402;

const HELP = `l402-mcp ${__VERSION__}: an MCP server that buys from L402 APIs over Lightning, inside a strict budget.

  npx @l402-tools/mcp              over stdio, as MCP hosts start it
  npx @l402-tools/mcp --http       over streamable HTTP, at http://127.0.0.1:${PORT}/mcp
      --port N                     another port; 0: any that is free
      --version, --help

Variables:
${variables.map(({ name, meaning }) => `  ${name.padEnd(26)} ${meaning}`).join("\n")}
  and those of one wallet, such as NWC_URL or PHOENIXD_PASSWORD: the README of @l402-tools/wallets lists them.
`;

const say = (text: string): void => void process.stderr.write(`l402-mcp: ${text}\n`);
const onerror = (error: Error): void => say(error.message.slice(0, 300));

interface Arguments {
  readonly http: boolean;
  readonly port: number;
  readonly print: string | undefined;
}

function readArguments(args: readonly string[]): Arguments {
  const options = { http: { type: "boolean" }, port: { type: "string" }, version: { type: "boolean", short: "V" }, help: { type: "boolean", short: "h" } } as const;
  let values;
  try {
    ({ values } = parseArgs({ args: [...args], options }));
  } catch (error) {
    // Without what was typed where an option belongs, which may be a wallet's key.
    const [name = "There is an argument that"] = (error as { code?: string }).code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL" ? [] : (/--?[\w-]{1,30}/.exec((error as Error).message) ?? []);
    throw new SettingsError(`${name} is not understood: there are --http, --port N, --version and --help.`);
  }
  const { http = false, port, version, help } = values;
  if (port !== undefined && !http) throw new SettingsError("--port is for --http only.");
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) throw new SettingsError("--port must be a number from 0 to 65535.");
  return { http, port: port === undefined ? PORT : Number(port), print: help === true ? HELP : version === true ? `${__VERSION__}\n` : undefined };
}

/** The client, and what to close after it. */
async function assemble(settings: Settings, env: Env): Promise<{ client: L402Client; paidBy: string; close(): Promise<void> }> {
  const wallet = walletFromEnv(env);
  const store = settings.ledger === undefined ? memoryStore() : (await import("@l402-tools/stores/sqlite")).sqliteStore(settings.ledger);
  try {
    const client = new L402Client({ ...settings.client, wallet, store });
    createL402Server(client, { allowHosts: settings.allowHosts }); // its options are checked now
    return {
      client,
      paidBy: wallet.name,
      async close() {
        await client.close();
        const { heldSats } = await client.balance();
        if (heldSats > 0) say(`up to ${heldSats} sats may have been spent by a payment whose end is not known${settings.ledger === undefined ? "" : "; the next start looks it up"}.`);
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Resolves when a signal or `stopped` says so; a second signal ends the process at once. */
function untilStopped(stopped: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        // oxlint-disable-next-line unicorn/no-process-exit -- asked twice
        if (isAsked) process.exit(1);
        isAsked = true;
        say(`${signal}: ending, after payments under way (at most 5 s). Once more ends this at once.`);
        resolve();
      });
    }
    void stopped.then(resolve);
  });
}

/** Serves until it is told to stop; the exit code. */
export async function main(args: readonly string[], env: Env): Promise<number> {
  try {
    const { http, port, print } = readArguments(args);
    if (print !== undefined) {
      process.stdout.write(print);
      return 0;
    }
    const settings = readSettings(env);
    const { token, ledger, allowHosts } = settings;
    if (http && token === undefined) throw new SettingsError("L402_MCP_TOKEN is missing: --http needs a bearer token for its clients, such as `openssl rand -hex 32` prints.");
    const { client, paidBy, close } = await assemble(settings, env);
    try {
      const make = (): ReturnType<typeof createL402Server> => createL402Server(client, { allowHosts });
      const about = `${settings.client.budgetSats} sats ${ledger === undefined ? "for this session" : `by the ledger ${ledger.path}`}, paid by ${paidBy}`;
      if (http) {
        const server = await serveHttp(make, { port, token: token as string, onerror });
        say(`${about}. Listening on ${server.url}`);
        await untilStopped(new Promise(() => {}));
        await server.close();
      } else {
        const transport = new StdioServerTransport();
        const served = serveStdio(make, { transport, onerror });
        const ended = new Promise<void>((resolve) => {
          const { onclose } = transport;
          // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport has one listener: that of serveStdio
          transport.onclose = () => {
            onclose?.();
            resolve();
          };
        });
        say(`${about}. Speaking MCP over stdio.`);
        await untilStopped(ended);
        await served.close();
      }
    } finally {
      await close();
    }
    return 0;
  } catch (error) {
    if (error instanceof SettingsError) say(error.message);
    else if (isL402Error(error)) say(error.code === "invalid_options" ? inVariables(error.message) : `L402_LEDGER: ${error.message}`);
    else say(`something was not foreseen: ${error instanceof Error ? error.name : typeof error}.`);
    return error instanceof SettingsError || isL402Error(error) ? 2 : 1;
  }
}
