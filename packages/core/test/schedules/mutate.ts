/** Copies core into a folder of its own, with one mutant applied, and runs the schedules there. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./mutants.ts";

const CORE: string = fileURLToPath(new URL("../..", import.meta.url));

export interface Verdict {
  readonly name: string;
  /** What the schedules said, or `undefined` when they noticed nothing. */
  readonly caught: string | undefined;
  readonly schedules: number;
}

/** The source with the edit; fails unless the edit fits exactly one place. */
export function edited(source: string, edit: Mutant["edits"][number]): string {
  const parts = source.split(edit.from);
  if (parts.length !== 2) throw new Error(`"${edit.from}" is ${parts.length - 1} times in src/${edit.file}; bring the mutant up to date`);
  return parts.join(edit.to);
}

/** Runs at most `count` schedules against the mutant. */
export async function tryMutant(mutant: Mutant, count: number): Promise<Verdict> {
  const folder = await mkdtemp(join(tmpdir(), "l402-mutant-"));
  try {
    await cp(join(CORE, "src"), join(folder, "src"), { recursive: true });
    await mkdir(join(folder, "test"));
    await cp(join(CORE, "test/schedules"), join(folder, "test/schedules"), { recursive: true });
    await cp(join(CORE, "test/data"), join(folder, "test/data"), { recursive: true });
    await symlink(join(CORE, "node_modules"), join(folder, "node_modules"));
    await writeFile(join(folder, "package.json"), `{ "type": "module" }`);
    for (const edit of mutant.edits) {
      const path = join(folder, "src", edit.file);
      await writeFile(path, edited(await readFile(path, "utf8"), edit));
    }
    const env = { ...process.env, SCHEDULES: String(count), SCHEDULE_SEED: "4" };
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, [join(folder, "test/schedules/main.ts")], { env, maxBuffer: 1 << 24 }, (_error, stdout, stderr) => resolve(stdout.trim() === "" ? stderr : stdout));
    });
    const last = output.trim().split("\n").at(-1) ?? "";
    if (!last.startsWith("{")) throw new Error(`the mutant "${mutant.name}" does not run: ${output.slice(0, 2_000)}`);
    const report = JSON.parse(last) as { done: number; failures: readonly { message: string }[] };
    return { name: mutant.name, caught: report.failures[0]?.message, schedules: report.done };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
