/** A paywall, a wallet behind a fake phoenixd, and the built server in front of them, as its users start it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { PaywallOptions } from "@l402-tools/testing";
import { onTestFinished } from "vitest";
import { createPlace as createCliPlace, type Place as CliPlace } from "../../cli/test/run.ts";
import { PASSWORD } from "../../wallets/test/fakes/phoenixd.ts";

export const BIN: string = join(import.meta.dirname, "../dist/bin.js");
export const TOKEN = "0123456789abcdef-bearer-canary";
export { PASSWORD };

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stderr(): string;
}

export interface Place extends Pick<CliPlace, "dir" | "world" | "phoenixd" | "paywall" | "host"> {
  readonly env: Record<string, string>;
  start(args: readonly string[], env?: Record<string, string | undefined>): Running;
  /** A server over HTTP, and its URL. */
  http(env?: Record<string, string | undefined>): Promise<Running & { readonly url: string }>;
}

const BASE = Object.fromEntries(Object.entries(process.env).filter(([name]) => ["PATH", "HOME", "LANG", "SystemRoot"].includes(name)));

/** As that of the command, with the defaults of the server. */
export async function createPlace(routes: PaywallOptions["routes"]): Promise<Place> {
  const { dir, world, phoenixd, paywall, host, env: all } = await createCliPlace(routes);
  const { L402_LEDGER: _ledger, BUDGET_SATS: _budget, ...own } = all;
  const env = { ...BASE, ...own } as Record<string, string>;
  const children = new Set<ChildProcess>();
  onTestFinished(() => {
    for (const child of children) child.kill("SIGKILL");
  });
  const place: Place = {
    dir, env, world, phoenixd, paywall, host,
    start(args, more = {}) {
      const all: Record<string, string | undefined> = { ...env, ...more };
      for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
      const child = spawn(process.execPath, [BIN, ...args], { cwd: dir, env: all, stdio: ["pipe", "pipe", "pipe"] });
      children.add(child);
      child.stdin.on("error", () => {});
      const told = { stdout: "", stderr: "" };
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => (told.stdout += chunk));
      child.stderr.setEncoding("utf8").on("data", (chunk: string) => (told.stderr += chunk));
      const ended = once(child, "close").then(([code]) => {
        children.delete(child);
        return { code: code as number | null, ...told };
      });
      return { child, ended, stderr: () => told.stderr };
    },
    async http(more = {}) {
      const running = place.start(["--http", "--port", "0"], { L402_MCP_TOKEN: TOKEN, ...more });
      const urlOf = (): string | undefined => /Listening on (\S+)/.exec(running.stderr())?.[1];
      const over = running.ended.then(({ stderr }) => Promise.reject(new Error(`The server ended: ${stderr}`)));
      over.catch(() => {});
      while (urlOf() === undefined) await Promise.race([once(running.child.stderr!, "data"), over]);
      return { ...running, url: urlOf() as string };
    },
  };
  return place;
}
