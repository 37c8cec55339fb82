/** Rows about loading the library: what an import costs, and what a bundle of it weighs. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { median, round } from "./measure.mjs";

const ENTRIES = { ours: "@l402-tools/core", alby: "@getalby/lightning-tools/402/l402", l402: "l402" };

function spawnMillis(script) {
  const begin = performance.now();
  const { status } = spawnSync(process.execPath, [script], { stdio: "inherit" });
  if (status !== 0) throw new Error(`${script} failed`);
  return performance.now() - begin;
}

/** A script that imports a package, against an empty one: process start to process end, in turns. */
async function importTime(quick) {
  const folder = mkdtempSync(join(tmpdir(), "l402-bench-"));
  const scripts = { empty: join(folder, "empty.mjs") };
  writeFileSync(scripts.empty, "");
  for (const [name, entry] of Object.entries(ENTRIES)) {
    scripts[name] = join(folder, `${name}.mjs`);
    writeFileSync(scripts[name], `import ${JSON.stringify(import.meta.resolve(entry))};\n`);
  }
  const times = Object.fromEntries(Object.keys(scripts).map((name) => [name, []]));
  for (const script of Object.values(scripts)) spawnMillis(script);
  for (let turn = 0; turn < (quick ? 3 : 25); turn += 1) {
    for (const [name, script] of Object.entries(scripts)) times[name].push(spawnMillis(script));
  }
  rmSync(folder, { recursive: true });
  const over = (name) => round(median(times[name].map((time, turn) => time - times.empty[turn])), 1);
  const measured = over("ours");
  return {
    id: "import",
    what: "importing core, over an empty script",
    baseline: `${round(median(times.empty), 0)} ms`,
    measured,
    unit: "ms",
    bar: "< 25",
    ok: measured < 25,
    others: { alby: over("alby"), l402: over("l402") },
  };
}

/** Minified and gzipped, with all dependencies but bolt11: what is loaded by the import, and what waits for a 402. */
async function bundle(entry, external) {
  const build = await rolldown({ input: fileURLToPath(import.meta.resolve(entry)), external: (id) => external.includes(id), platform: "node", logLevel: "silent" });
  const { output } = await build.generate({ format: "esm", minify: true });
  await build.close();
  const chunks = output.filter(({ type }) => type === "chunk");
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  const first = new Set();
  const follow = (name) => {
    if (first.has(name) || !byName.has(name)) return;
    first.add(name);
    byName.get(name).imports.forEach(follow);
  };
  chunks.filter(({ isEntry }) => isEntry).forEach(({ fileName }) => follow(fileName));
  const kilobytes = (list) => round(list.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0) / 1000, 1);
  return { first: kilobytes(chunks.filter(({ fileName }) => first.has(fileName))), later: kilobytes(chunks.filter(({ fileName }) => !first.has(fileName))) };
}

async function bundleSize() {
  const own = await bundle(ENTRIES.ours, ["bolt11"]);
  const alby = await bundle(ENTRIES.alby, []);
  const l402 = await bundle(ENTRIES.l402, []);
  return {
    id: "size",
    what: "bundle of core before a 402 was met, min+gzip, without bolt11",
    baseline: "–",
    measured: own.first,
    unit: "kB",
    bar: "< 20",
    ok: own.first < 20,
    others: { alby: alby.first, l402: l402.first },
    note: `p-queue, zod/mini and noble hashes counted; loaded at the first 402: ${own.later} kB more`,
  };
}

export async function loading(_server, { quick }) {
  return [await importTime(quick), await bundleSize()];
}
