/** Where output goes: results to stdout, everything else to stderr. */
import type { Readable } from "node:stream";
import type { WriteStream } from "node:tty";
import { failureOf, UsageError, type Failure } from "./errors.ts";
import { harmless, json, painter, type Paint } from "./text.ts";

export type Out = Pick<WriteStream, "write" | "once" | "on" | "off"> & { readonly isTTY?: boolean; readonly columns?: number };
export type In = Readable & { readonly isTTY?: boolean };

export interface Io {
  readonly stdin: In;
  readonly stdout: Out;
  readonly stderr: Out;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  now(): number;
}

export interface Style {
  /** `--json`, `--table`, or neither. */
  readonly asked: "json" | "table" | undefined;
  readonly quiet: boolean;
}

export class Terminal {
  readonly io: Io;
  /** Results as JSON. */
  readonly json: boolean;
  /** Errors and facts as JSON: only where that was asked for. */
  readonly jsonErrors: boolean;
  readonly quiet: boolean;
  readonly paint: Paint;
  #isLeft = false;

  constructor(io: Io, style: Style) {
    this.io = io;
    this.json = style.asked === undefined ? io.stdout.isTTY !== true : style.asked === "json";
    this.jsonErrors = style.asked === "json";
    this.quiet = style.quiet;
    this.paint = painter(this.#colours(io.stdout));
  }

  #colours(stream: Out): boolean {
    const { NO_COLOR: none = "", TERM: kind } = this.io.env;
    return stream.isTTY === true && none === "" && kind !== "dumb";
  }

  get width(): number | undefined {
    return this.io.stdout.isTTY === true ? this.io.stdout.columns : undefined;
  }

  /** The result: JSON, or lines for a person. */
  async result(value: unknown, lines: () => readonly string[]): Promise<void> {
    await this.write(this.json ? `${json(value, 2)}\n` : lines().map((line) => `${line}\n`).join(""));
  }

  /** Waits until stdout has taken it. `false`: whoever read it has gone (`| head`), and what comes is dropped. */
  async write(chunk: string | Uint8Array): Promise<boolean> {
    if (chunk.length > 0 && !this.#isLeft) {
      const error = await new Promise<Error | null | undefined>((written) => this.io.stdout.write(chunk, written));
      this.#isLeft = (error as { code?: string } | null | undefined)?.code === "EPIPE";
      if (error && !this.#isLeft) throw error;
    }
    return !this.#isLeft;
  }

  /** Progress and remarks. */
  note(text: string): void {
    if (!this.quiet && !this.jsonErrors) this.io.stderr.write(`${harmless(text)}\n`);
  }

  /** What a person must see. */
  warn(text: string): void {
    if (!this.jsonErrors) this.io.stderr.write(`${painter(this.#colours(this.io.stderr))("yellow", "Note:")} ${harmless(text)}\n`);
  }

  /** What a command did, beside its output. */
  facts(value: unknown, line: string): void {
    if (this.jsonErrors) this.io.stderr.write(`${json(value)}\n`);
    else if (!this.quiet) this.io.stderr.write(`${harmless(line)}\n`);
  }

  /** Returns the exit code. */
  fail(error: unknown, asking = false): number {
    return this.failure(failureOf(error, asking), error instanceof UsageError);
  }

  failure(failure: Failure, isUsage = false): number {
    const { exitCode, ...told } = failure;
    if (this.jsonErrors) this.io.stderr.write(`${json({ error: told, exitCode })}\n`);
    else this.io.stderr.write(`${painter(this.#colours(this.io.stderr))("red", isUsage ? "Usage:" : "Error:")} ${told.message}\n`);
    return exitCode;
  }
}
