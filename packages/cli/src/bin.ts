#!/usr/bin/env node
/** The program: the real streams, and an exit when everything is written. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

/** Waits until what was written is out. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write("", () => resolve());
  });
}

async function run(): Promise<number> {
  if (major < 22 || (major === 22 && minor < 13)) {
    process.stderr.write(`l402-tools needs Node 22.13 or newer; this is ${process.versions.node}.\n`);
    return 1;
  }
  // Node 22 tells everyone who opens a ledger that its SQLite is new; other warnings are shown as ever.
  const shown = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning" || !warning.message.includes("SQLite")) for (const show of shown) show(warning);
  });
  // Whoever reads may stop reading (`| head`), which ends nothing: each write that matters is answered for where it is made.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  const { main } = await import("./main.ts");
  const { stdin, stdout, stderr, env } = process;
  return main(process.argv.slice(2), { stdin, stdout, stderr, env, cwd: process.cwd(), now: () => Date.now() });
}

const exitCode = await run();
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// A wallet may leave a connection open, which would keep the process alive.
process.exit(exitCode);
