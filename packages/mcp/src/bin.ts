#!/usr/bin/env node
/** The program: nothing but protocol on standard output, whatever a library has to say. */
import { Console } from "node:console";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

globalThis.console = new Console(process.stderr);
// Whoever reads may be gone.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

async function run(): Promise<number> {
  if (major < 22 || (major === 22 && minor < 13)) {
    process.stderr.write(`l402-mcp needs Node 22.13 or newer; this is ${process.versions.node}.\n`);
    return 1;
  }
  const { main } = await import("./server/main.ts");
  return main(process.argv.slice(2), process.env);
}

const exitCode = await run();
// A wallet may leave a connection open, which would keep the process alive.
process.stdout.write("", () => process.exit(exitCode));
