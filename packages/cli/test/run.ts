/** Runs the built program as its users do, against a simulated Lightning network behind a fake phoenixd. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPaywall, type Paywall, type PaywallOptions } from "@l402-tools/testing";
import { onTestFinished } from "vitest";
import { fakePhoenixd, PASSWORD } from "../../wallets/test/fakes/phoenixd.ts";
import type { FakeServer } from "../../wallets/test/fakes/server.ts";
import { createWorld, type World } from "../../wallets/test/fakes/world.ts";

export const BIN: string = join(import.meta.dirname, "../dist/bin.js");

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface RunOptions {
  readonly env?: Record<string, string | undefined>;
  readonly input?: string;
  /** Outputs that nobody reads. */
  readonly unread?: readonly ("stdout" | "stderr")[];
}

export interface Place {
  readonly dir: string;
  readonly ledger: string;
  readonly env: Record<string, string>;
  readonly world: World;
  readonly phoenixd: FakeServer;
  readonly paywall: Paywall;
  /** Host and port of the paywall, for `--allow-host`. */
  readonly host: string;
  /** Everything that any run of this place wrote. */
  readonly output: string[];
  file(name: string, content: string): Promise<string>;
  start(args: readonly string[], options?: RunOptions): Running;
  run(args: readonly string[], options?: RunOptions): Promise<Ended>;
}

const BASE = Object.fromEntries(Object.entries(process.env).filter(([name]) => ["PATH", "HOME", "LANG", "SystemRoot"].includes(name)));

export async function createPlace(routes: PaywallOptions["routes"], options: Partial<PaywallOptions> = {}): Promise<Place> {
  const dir = await mkdtemp(join(tmpdir(), "l402-tools-cli-"));
  const world = createWorld({ feeLimit: "none", feeMsat: 2_000n });
  const phoenixd = await fakePhoenixd(world);
  const paywall = await createPaywall({ lightning: world.lightning, routes, ...options });
  const children = new Set<ChildProcess>();
  onTestFinished(async () => {
    for (const child of children) child.kill("SIGKILL");
    await paywall.close();
    await phoenixd.close();
    await rm(dir, { recursive: true, force: true });
    world.lightning.assertConserved();
  });
  const ledger = join(dir, "ledger.db");
  const host = new URL(paywall.url).host;
  const env = {
    L402_LEDGER: ledger,
    L402_NETWORK: "regtest",
    L402_ALLOW_HOSTS: host,
    PHOENIXD_URL: phoenixd.url,
    PHOENIXD_PASSWORD: PASSWORD,
    BUDGET_SATS: "1000",
  };
  const output: string[] = [];
  const place: Place = {
    dir, ledger, env, world, phoenixd, paywall, host, output,
    async file(name, content) {
      await writeFile(join(dir, name), content, { mode: 0o600 });
      return join(dir, name);
    },
    start(args, { env: more = {}, input, unread = [] } = {}) {
      const all: Record<string, string | undefined> = { ...BASE, ...env, ...more };
      for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
      const child = spawn(process.execPath, [BIN, ...args], { cwd: dir, env: all, stdio: ["pipe", "pipe", "pipe"] });
      children.add(child);
      child.stdin.on("error", () => {}).end(input ?? "");
      for (const output of unread) child[output].destroy();
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
      child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
      const ended = new Promise<Ended>((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) => {
          children.delete(child);
          const bytes = Buffer.concat(out);
          const told = { code, signal, bytes, stdout: bytes.toString(), stderr: Buffer.concat(err).toString() };
          output.push(told.stdout, told.stderr);
          resolve(told);
        });
      });
      return { child, ended };
    },
    run: (args, more) => place.start(args, more).ended,
  };
  return place;
}

/** Waits for something that another process does. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export const isAskedToPay = ({ phoenixd }: Place): boolean => phoenixd.asked.some(({ path }) => path === "/payinvoice");
