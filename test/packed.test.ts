/** The packages as a user gets them: packed, installed by npm into an empty project, imported and required. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Manifest, packages, root } from "./source.ts";

const run = promisify(execFile);
const published = packages().filter(({ manifest }) => manifest.private !== true);
const isDual = (manifest: Manifest): boolean => JSON.stringify(manifest.exports).includes('"require"');
/** `@l402-tools/core`, `@l402-tools/core/transport`, … */
const entries = (manifest: Manifest): string[] =>
  Object.keys(manifest.exports ?? {})
    .filter((path) => path !== "./package.json")
    .map((path) => manifest.name + path.slice(1));

let project: string;
const installed = (name: string): string => join(project, "node_modules", name);

/** pnpm's own variables would have npm take pnpm's settings. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle)_|pnpm_|NODE_OPTIONS|VITEST)/i.test(name)));

/** pnpm, which knows what `workspace:` and `catalog:` stand for; it is on PATH in every script of ours. */
function pnpm(args: string[]): Promise<{ stdout: string }> {
  const isOnPath = (process.env["PATH"] ?? "").split(delimiter).some((dir) => existsSync(join(dir, "pnpm")));
  return isOnPath ? run("pnpm", args, { cwd: root, env }) : run("npx", ["-y", "pnpm@12", ...args], { cwd: root, env });
}

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "l402-tools-packed-"));
  const tarballs = join(project, "tarballs");
  await mkdir(tarballs);
  await pnpm(["-r", "--filter", "./packages/*", "pack", "--pack-destination", tarballs]);
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "someone", version: "1.0.0", private: true }));
  const files = readdirSync(tarballs).map((name) => join(tarballs, name));
  expect(files).toHaveLength(published.length);
  // All at once, so that a dependency on another of our packages is met by its tarball.
  await run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", ...files], { cwd: project, env });
}, 240_000);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

describe.each(published)("$manifest.name, packed", ({ dir, manifest }) => {
  test("carries its build, a README, the licence and nothing else", async () => {
    const top = readdirSync(installed(manifest.name)).filter((name) => name !== "node_modules");
    expect(top.filter((name) => name !== "CHANGELOG.md").sort()).toEqual(["LICENSE", "README.md", "dist", "package.json"]);
    expect(await readFile(join(installed(manifest.name), "LICENSE"), "utf8")).toBe(await readFile(join(root, "LICENSE"), "utf8"));
    expect(await readFile(join(installed(manifest.name), "README.md"), "utf8")).toBe(await readFile(join(dir, "README.md"), "utf8"));
  });

  test("says what it is, and asks for nothing that only a workspace has", () => {
    const text = readFileSync(join(installed(manifest.name), "package.json"), "utf8");
    expect(text).not.toMatch(/"(?:workspace|catalog|link|file):/);
    expect(JSON.parse(text)).toMatchObject({
      license: "MIT",
      type: "module",
      description: expect.stringMatching(/.{20}/),
      engines: { node: ["@l402-tools/stores", "@l402-tools/cli", "@l402-tools/mcp"].includes(manifest.name as string) ? ">=22.13" : ">=22.12" }, // node:sqlite needs no flag from there
      publishConfig: { access: "public" },
    });
  });

  test("is the only copy of itself", () => {
    const copies = readdirSync(join(project, "node_modules"), { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(`node_modules/${manifest.name}`),
    );
    expect(copies).toEqual([]);
  });

  test.each(entries(manifest))("%s is imported, and required", async (entry) => {
    const print = "console.log(JSON.stringify(Object.keys(all).filter((name) => name !== 'default' && name !== 'module.exports').sort()))";
    const names = async (type: string, code: string): Promise<string[]> => {
      const { stdout } = await run(process.execPath, [`--input-type=${type}`, "-e", `${code}; ${print}`], { cwd: project, env });
      return JSON.parse(stdout) as string[];
    };
    const imported = await names("module", `const all = await import("${entry}")`);
    expect(imported.length).toBeGreaterThan(0);
    expect(await names("commonjs", `const all = require("${entry}")`)).toEqual(imported);
  });
});

test.each(published.flatMap(({ manifest }) => Object.keys(manifest.bin ?? {})))("the command %s runs", async (name) => {
  const { stdout } = await run(join(project, "node_modules/.bin", name), ["--version"], { cwd: project, env });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("the MCP server speaks with the MCP inspector", async () => {
  const inspector = join(root, "packages/mcp/node_modules/.bin/mcp-inspector");
  const args = ["--cli", join(project, "node_modules/.bin/l402-mcp"), "-e", "PHOENIXD_PASSWORD=none", "--method", "tools/call", "--tool-name", "l402_balance"];
  const { stdout } = await run(inspector, args, { cwd: project, env: { ...env, HOME: project } });
  expect(JSON.parse(stdout)).toMatchObject({ content: [{ text: "Budget: 1000 sats remaining of 1000 total (spent: 0 sats)" }] });
});

test("core and langchain are dual", () => {
  const dual = published.filter(({ manifest }) => isDual(manifest)).map(({ folder }) => folder);
  expect(dual.sort()).toEqual(["core", "langchain"].filter((name) => published.some(({ folder }) => folder === name)));
});
