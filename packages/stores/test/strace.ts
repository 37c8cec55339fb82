/** strace, which shows and injures system calls from outside. In CI it has to be there; elsewhere its tests are skipped, visibly. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const works = spawnSync("strace", ["-e", "trace=none", "true"]).status === 0;
if (!works && process.env["CI"] !== undefined) throw new Error("strace is needed in CI: apt-get install strace");
export const withoutStrace: boolean = !works;

export interface SystemCall {
  readonly name: string;
  /** The file or socket of its first argument, as strace -y shows it. */
  readonly on: string;
  readonly text: string;
}

/** The system calls of a trace made by `strace -f -y -o file`, in the order in which they were finished, without those that failed. */
export function systemCalls(file: string): SystemCall[] {
  const begun = new Map<string, string>();
  const calls: SystemCall[] = [];
  for (const line of readFileSync(file, "latin1").split("\n")) {
    const [, pid, rest] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || rest === undefined) continue;
    if (rest.endsWith("<unfinished ...>")) {
      begun.set(pid, rest.slice(0, -"<unfinished ...>".length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const text = resumed === null ? rest : `${begun.get(pid) ?? ""}${resumed[1]}`;
    const [, name, on = ""] = /^(\w+)\(\d+<([^>]*)>/.exec(text) ?? [];
    if (name !== undefined && !/= -\d+ E/.test(text)) calls.push({ name, on, text });
  }
  return calls;
}
