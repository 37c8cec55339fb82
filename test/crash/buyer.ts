/** The parent's side of a process that is killed. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Arm, Line, Order, Phase, Results, Step } from "./protocol.ts";

const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));

/** Thrown when the process died instead of answering. */
export class Killed extends Error {
  readonly point: string | undefined;
  constructor(point: string | undefined) {
    super(`killed at ${point ?? "a random time"}`);
    this.point = point;
  }
}

let count = 0;

export class Buyer {
  readonly id: number = (count += 1);
  /** Where it is to die by the parent's hand, in the step under way. */
  arm: Arm | undefined;
  /** Waits until the process is gone and all that it said has been read. */
  readonly gone: Promise<void>;
  readonly #process: ChildProcess;
  readonly #ready: Promise<void>;
  #answer: { resolve(value: unknown): void; reject(error: Error): void } | undefined;
  #killed = false;
  #point: string | undefined;
  #errors = "";
  #over = false;

  constructor(compileCache: string) {
    const child = spawn(process.execPath, [CHILD], { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, NODE_COMPILE_CACHE: compileCache, NODE_OPTIONS: "", NODE_V8_COVERAGE: "" } });
    this.#process = child;
    child.stdin?.on("error", () => {});
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#errors = (this.#errors + text).slice(-4_000)));
    let isReady: () => void = () => {};
    let isNot: (error: Error) => void = () => {};
    this.#ready = new Promise((resolve, reject) => ((isReady = resolve), (isNot = reject)));
    this.#ready.catch(() => {});
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (text) => {
      const line = JSON.parse(text) as Line;
      if ("ready" in line) isReady();
      else if ("dying" in line) this.#killed = ((this.#point = line.dying), true);
      else if ("done" in line) this.#settle((answer) => answer.resolve(line.done));
      else this.#settle((answer) => answer.reject(new Error(line.broke)));
    });
    this.gone = once(child, "close").then(([code, signal]) => {
      this.#over = true;
      const error = this.#killed ? new Killed(this.#point) : new Error(`a buyer ended by itself (code ${code}, signal ${signal}): ${this.#errors}`);
      isNot(error);
      this.#settle((answer) => answer.reject(error));
    });
  }

  #settle(end: (answer: NonNullable<typeof this.answering>) => void): void {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer !== undefined) end(answer);
  }

  get answering(): { resolve(value: unknown): void; reject(error: Error): void } | undefined {
    return this.#answer;
  }

  get isGone(): boolean {
    return this.#over;
  }

  get isKilled(): boolean {
    return this.#killed;
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  /** `kill -9`, now. */
  kill(point?: string): void {
    if (this.#killed || this.#over) return;
    this.#killed = true;
    this.#point = point;
    this.#process.kill("SIGKILL");
  }

  /** The parent passes a point on the process's behalf. */
  strike(point: string): void {
    if (this.arm?.point === point) this.kill(point);
  }

  /** @throws {Killed} */
  async step<S extends Step>(phase: Phase, step: S, arm?: Arm): Promise<Results[S["do"]]> {
    this.arm = arm;
    try {
      await this.#ready;
      const order: Order = { step, phase, ...(arm === undefined ? {} : { arm }) };
      return (await new Promise<unknown>((resolve, reject) => {
        this.#answer = { resolve, reject };
        if (this.#over) this.#settle((answer) => answer.reject(this.#killed ? new Killed(this.#point) : new Error(`a buyer ended by itself: ${this.#errors}`)));
        else this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
      })) as Results[S["do"]];
    } catch (error) {
      if (error instanceof Killed) await this.gone;
      throw error;
    } finally {
      this.arm = undefined;
    }
  }

  /** Ends it; a kill that does not count. */
  async reap(): Promise<void> {
    this.kill();
    await this.gone;
  }
}

/** Processes that are started ahead, since starting takes longer than dying. */
export class Nursery {
  readonly #cache: string;
  readonly #ahead: number;
  readonly #waiting: Buyer[] = [];
  readonly #all = new Set<Buyer>();

  constructor(compileCache: string, ahead: number) {
    this.#cache = compileCache;
    this.#ahead = ahead;
  }

  #start(): Buyer {
    const buyer = new Buyer(this.#cache);
    this.#all.add(buyer);
    void buyer.gone.then(() => this.#all.delete(buyer));
    return buyer;
  }

  take(): Buyer {
    const buyer = this.#waiting.shift() ?? this.#start();
    while (this.#waiting.length < this.#ahead) this.#waiting.push(this.#start());
    return buyer;
  }

  /** Ends every process that is left. */
  async close(): Promise<void> {
    this.#waiting.length = 0;
    await Promise.all([...this.#all].map((buyer) => buyer.reap()));
  }
}
