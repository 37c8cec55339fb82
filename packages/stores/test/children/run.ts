/** Starts child processes, which Node runs from their TypeScript as it is. */
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Child {
  readonly process: ChildProcess;
  /** Its next line; `undefined` when it has ended. */
  line(): Promise<string | undefined>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>;
}

const here = (name: string): string => fileURLToPath(new URL(`${name}.ts`, import.meta.url));

/** @param wrapper a command that runs the child, such as strace */
export function start(name: string, args: readonly string[], { wrapper = [], ...options }: SpawnOptions & { wrapper?: readonly string[] } = {}): Child {
  const command = [...wrapper, process.execPath, "--no-warnings", here(name), ...args] as [string, ...string[]];
  const child = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "pipe"], ...options });
  let stderr = "";
  child.stderr?.on("data", (data: Buffer) => (stderr += data.toString()));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stderr }));
  });
  ended.catch(() => {});
  return { process: child, ended, line: async () => ((await lines.next()) as IteratorResult<string, undefined>).value };
}
