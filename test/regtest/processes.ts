/** Processes that this program starts, waits for and ends, by their ids. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How long, ms, a program may take to end before it is killed. */
const END_MAX_MS = 20_000;
/** How long, ms, anything that is waited for may take; it only ends a run that hangs. */
const FACT_MAX_MS = 170_000;
const LOOK_AGAIN_MS = 50;

/** Looks until `fact` is true of the world, and returns what it found. A throw counts as not yet. */
export async function until<T>(what: string, fact: () => Promise<T | undefined | false>, stop?: () => string | undefined): Promise<T> {
  const end = performance.now() + FACT_MAX_MS;
  for (let last: unknown; ; ) {
    try {
      const found = await fact();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    const over = stop?.();
    if (over !== undefined) throw new Error(`${what}: ${over}`);
    if (performance.now() > end) throw new Error(`${what}: not within ${FACT_MAX_MS / 1000} s`, { cause: last });
    await sleep(LOOK_AGAIN_MS);
  }
}

/** Ports of the loopback interface that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** One program, started any number of times one after the other. */
export class Daemon {
  readonly #program: Program;
  readonly #log: string;
  #child: ChildProcess | undefined;

  constructor(program: Program, folder: string) {
    this.#program = program;
    mkdirSync(folder, { recursive: true });
    this.#log = join(folder, `${program.name}.log`);
  }

  get name(): string {
    return this.#program.name;
  }

  /** Starts it, unless it runs. */
  start(args: readonly string[] = this.#program.args): void {
    if (this.over() === undefined) return;
    const log = openSync(this.#log, "a");
    // In a group of its own: a Ctrl-C at the terminal reaches this program only, which then ends the others in order.
    this.#child = spawn(this.#program.command, args, { stdio: ["ignore", log, log], detached: true });
    this.#child.once("error", () => {});
    closeSync(log);
  }

  /** Why it does not run; `undefined`: it does. */
  over(): string | undefined {
    const child = this.#child;
    if (child === undefined) return `${this.name} was not started`;
    if (child.pid === undefined) return `${this.name} could not be started`;
    return child.exitCode === null && child.signalCode === null ? undefined : `${this.name} ended with ${child.signalCode ?? child.exitCode}; see ${this.#log}`;
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || this.over() !== undefined) return;
    const gone = once(child, "exit");
    child.kill(signal);
    const late = new AbortController();
    const killed = sleep(END_MAX_MS, undefined, { signal: late.signal }).then(() => child.kill("SIGKILL"), () => false);
    await gone;
    late.abort();
    await killed;
  }

  /** The end of what it wrote. */
  async tail(lines: number): Promise<string> {
    return (await readFile(this.#log, "utf8").catch(() => "")).trimEnd().split("\n").slice(-lines).join("\n");
  }
}
