/**
 * `npm run test:regtest`: the tests on a network of real nodes. `npm run regtest:up`: the network alone, until Ctrl-C.
 * `npm run test:regtest:broken`: the tests against wallets that lie, each of which must be noticed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { breakages } from "./broken.ts";
import { build, NoGo } from "./build.ts";
import { startNetwork, type Network } from "./network.ts";
import { manual } from "./manual.ts";

const MODES = { test, up, broken };
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));

const say = (line: string): void => console.log(`regtest: ${line}`);

try {
  const [mode = "test", ...args] = process.argv.slice(2);
  if (!Object.hasOwn(MODES, mode)) throw new Error(`what to do is one of ${Object.keys(MODES).join(", ")}`);
  await MODES[mode as keyof typeof MODES](args);
} catch (error) {
  const told = error instanceof NoGo ? error : stop.signal.aborted ? (stop.signal.reason as Error) : undefined;
  console.error(told === undefined ? error : `regtest: ${told.message}`);
  process.exitCode = 1;
}

async function start(): Promise<Network> {
  const programs = await build(say, stop.signal);
  const since = performance.now();
  const network = await startNetwork(programs, stop.signal);
  say(`three nodes, two channels and Aperture after ${Math.round((performance.now() - since) / 1000)} s`);
  return network;
}

async function test(args: readonly string[]): Promise<void> {
  const network = await start();
  let passed = false;
  try {
    passed = await vitest(network, {}, args);
  } finally {
    if (!passed) console.error(`regtest: what the programs wrote is in ${network.facts.folder}`);
    await network.stop({ keepFolder: !passed });
  }
  if (!passed) process.exitCode = 1;
}

/** The tests, on a new network for each breakage: what one leaves behind is no evidence against the next. */
async function broken(args: readonly string[]): Promise<void> {
  const chosen = Object.entries(breakages).filter(([name]) => args.length === 0 || args.includes(name));
  const unnoticed: string[] = [];
  for (const [name, { noticedBy }] of chosen) {
    say(`a wallet that is broken: ${name}`);
    const network = await start();
    try {
      if (await vitest(network, { REGTEST_BREAK: name }, [noticedBy, "--bail=1"])) unnoticed.push(name);
    } finally {
      await network.stop();
    }
  }
  say(unnoticed.length === 0 ? `all ${chosen.length} were noticed` : `not noticed: ${unnoticed.join(", ")}`);
  if (unnoticed.length > 0) process.exitCode = 1;
}

async function up(): Promise<void> {
  const network = await start();
  try {
    console.log(manual(network.facts));
    if (!stop.signal.aborted) await once(stop.signal, "abort");
  } finally {
    await network.stop();
  }
}

/** One run of the tests on a network; whether every one passed. */
async function vitest(network: Network, env: Readonly<Record<string, string>>, args: readonly string[]): Promise<boolean> {
  stop.signal.throwIfAborted();
  const bin = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));
  const config = fileURLToPath(new URL("./vitest.config.ts", import.meta.url));
  const child = spawn(process.execPath, [bin, "run", "--config", config, ...args], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env, REGTEST: `${network.facts.folder}/network.json` },
    detached: true,
  });
  const interrupt = (): void => void child.kill("SIGINT");
  stop.signal.addEventListener("abort", interrupt);
  const [code] = (await once(child, "exit")) as [number | null];
  stop.signal.removeEventListener("abort", interrupt);
  stop.signal.throwIfAborted();
  return code === 0;
}
