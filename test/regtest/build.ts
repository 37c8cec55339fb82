/** Builds btcd, lnd, lncli, aperture and its pricer from the modules in go/, once for each content of these modules. */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Programs by name, as absolute paths. */
export type Programs = Readonly<Record<"btcd" | "lnd" | "lncli" | "aperture" | "pricer", string>>;

interface Module {
  readonly folder: string;
  readonly files: readonly string[];
  readonly targets: readonly string[];
  readonly tags: string;
  readonly programs: readonly (keyof Programs)[];
}

const MODULES: readonly Module[] = [
  // Hold invoices are of `invoicesrpc`; lndclient, which aperture uses, expects the other three.
  { folder: "lnd", files: ["go.mod", "go.sum"], targets: ["tool"], tags: "chainrpc,invoicesrpc,signrpc,walletrpc", programs: ["btcd", "lnd", "lncli"] },
  { folder: "aperture", files: ["go.mod", "go.sum", "pricer/main.go"], targets: ["tool", "./pricer"], tags: "", programs: ["aperture", "pricer"] },
];

/** Go is not there; the message says what to do. */
export class NoGo extends Error {}

function cacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "l402-tools-regtest");
}

async function goVersion(): Promise<string> {
  try {
    return (await promisify(execFile)("go", ["version"])).stdout.trim();
  } catch {
    throw new NoGo("Go is not on PATH. btcd, lnd and aperture are built from source with Go 1.26, which Go 1.21 or newer fetches by itself: install it, and run this again.");
  }
}

/** @throws {NoGo} @throws the signal's reason when it is stopped. */
export async function build(say: (line: string) => void, stop: AbortSignal): Promise<Programs> {
  const version = await goVersion();
  const programs: Record<string, string> = {};
  for (const module of MODULES) {
    const source = fileURLToPath(new URL(`./go/${module.folder}`, import.meta.url));
    const hash = createHash("sha256").update(JSON.stringify([version, module.targets, module.tags]));
    for (const file of module.files) hash.update(await readFile(join(source, file)));
    const folder = join(cacheFolder(), `${module.folder}-${hash.digest("hex").slice(0, 16)}`);
    const built = await readdir(folder).catch((): string[] => []);
    if (!module.programs.every((name) => built.includes(name))) await compile(module, source, folder, say, stop);
    for (const name of module.programs) programs[name] = join(folder, name);
  }
  return programs as Programs;
}

async function compile(module: Module, source: string, folder: string, say: (line: string) => void, stop: AbortSignal): Promise<void> {
  say(`building ${module.programs.join(", ")}: a few minutes, once`);
  const start = performance.now();
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await run("go", ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", `-tags=${module.tags}`, "-o", `${unfinished}/`, ...module.targets], source, stop);
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  say(`built in ${Math.round((performance.now() - start) / 1000)} s`);
}

function run(command: string, args: readonly string[], cwd: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"], signal });
    child.once("error", reject);
    child.once("close", (code, signal) => (code === 0 ? resolve() : reject(new Error(`${command} ${args[0]} ended with ${signal ?? code}`))));
  });
}
