/**
 * `npm run bench`: the numbers of docs/architecture.md, each against its baseline in the same run.
 *
 * --quick   a short run that shows that everything works; too short to judge by
 * --json    the result as JSON on standard output, nothing else
 * --strict  exit 1 when a bar is missed
 * --only a,b   some of: kept, paid, service, single-use, memory, loading
 */
import { spawnSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { kept, paid } from "./calls.mjs";
import { loading } from "./import.mjs";
import { memory } from "./memory.mjs";
import { service, singleUse } from "./parallel.mjs";
import { startServer } from "./world.mjs";

const ROWS = { kept, paid, service, "single-use": singleUse, memory, loading };

/** Counts, which must hold in any run; speed is judged in a full one. */
const EXACT = new Set(["service", "budget"]);

const { values: options } = parseArgs({ options: { quick: { type: "boolean" }, json: { type: "boolean" }, only: { type: "string" }, strict: { type: "boolean" } } });
const names = options.only?.split(",") ?? Object.keys(ROWS);
for (const name of names) {
  if (!Object.hasOwn(ROWS, name)) throw new Error(`--only knows ${Object.keys(ROWS).join(", ")}, not ${name}`);
}

const say = (text) => {
  if (!options.json) console.log(text);
};
const machine = `${cpus()[0]?.model.trim() ?? "unknown CPU"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}`;
const about = { date: new Date().toISOString(), node: process.version, machine, command: ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" "), quick: options.quick === true };
say(`${about.date}  Node ${about.node}  ${about.machine}\n$ ${about.command}\n`);

const server = await startServer();
const rows = [];
try {
  for (const name of names) {
    say(`… ${name}`);
    const made = await ROWS[name](server, { quick: about.quick });
    rows.push(...made.map((row) => (about.quick && !EXACT.has(row.id) ? { ...row, ok: null } : row)));
  }
} finally {
  await server.close();
}

const verdict = ({ ok }) => (ok === null ? "" : ok ? "yes" : "NO");
if (options.json) console.log(JSON.stringify({ ...about, rows }, null, 2));
else {
  const table = [
    ["what", "baseline", "l402-tools", "bar", "met", "@getalby/lightning-tools", "l402"],
    ...rows.map((row) => [row.what, row.baseline, `${row.measured} ${row.unit}`, row.bar, verdict(row), String(row.others.alby), String(row.others.l402)]),
  ];
  const widths = table[0].map((_, column) => Math.max(...table.map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  say(`\n${line(table[0])}\n${line(widths.map((width) => "-".repeat(width)))}\n${table.slice(1).map(line).join("\n")}\n`);
  for (const row of rows) if (row.note !== undefined) say(`${row.id}: ${row.note}.`);
  if (about.quick) say("\nA quick run is too short to judge speed by.");
}
if (options.strict && rows.some(({ ok }) => ok === false)) process.exitCode = 1;

// The ledger on disk has benches of its own, beside it.
if (options.only === undefined && !options.json && !options.quick) {
  for (const [title, script] of [["durable payments", "payments"], ["contention on one ledger", "contention"], ["a ledger of 1,000,000 payments", "long"]]) {
    say(`\n${title}:`);
    const ended = spawnSync(process.execPath, [fileURLToPath(new URL(`../../packages/stores/bench/${script}.mjs`, import.meta.url))], { stdio: "inherit" });
    if (ended.status !== 0) process.exitCode = 1;
  }
}
