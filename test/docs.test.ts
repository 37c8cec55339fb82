/** Every TypeScript block of the documentation type-checks against the built packages, and every link leads somewhere. */
import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { anchors, type Block, blocks, links, pages } from "./markdown.ts";
import { root } from "./source.ts";

const CHECKED = new Set(["ts", "tsx", "typescript", "js", "javascript", "mjs"]);

test("TypeScript snippets type-check", async () => {
  // Inside the workspace, so that the packages resolve; a block that goes on from the one before is put below it.
  const dir = join(root, "test/.snippets");
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });

  const files: { name: string; parts: Block[] }[] = [];
  for (const block of pages().flatMap(blocks)) {
    if (!CHECKED.has(block.language)) continue;
    const last = files.at(-1);
    if (block.continues) {
      expect(last?.parts[0]?.page, `${block.page}:${block.line} continues a block`).toBe(block.page);
      last?.parts.push(block);
    } else {
      const name = `${block.page.replaceAll(/[^\w]+/g, "-")}-${block.line}.${block.language === "tsx" ? "tsx" : "ts"}`;
      files.push({ name, parts: [block] });
    }
  }
  // A block without imports is a module as well.
  const text = (parts: Block[]): string => `${parts.map(({ code }) => code).join("")}export {};\n`;
  await Promise.all(files.map(({ name, parts }) => writeFile(join(dir, name), text(parts))));
  const config = {
    extends: "../../tsconfig.base.json",
    // What the base file asks of us alone is not asked of a reader.
    compilerOptions: { isolatedDeclarations: false, declaration: false, noPropertyAccessFromIndexSignature: false, jsx: "preserve" },
    include: ["*.ts", "*.tsx"],
  };
  await writeFile(join(dir, "tsconfig.json"), JSON.stringify(config));
  if (files.length === 0) return;

  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const output = await promisify(execFile)(process.execPath, [tsc, "-p", dir, "--pretty", "false"], { cwd: dir }).then(
    ({ stdout }) => stdout,
    (failure: { stdout: string; stderr: string }) => failure.stdout + failure.stderr,
  );
  // Back to the page and line that a person has to edit.
  const located = output.replaceAll(/^([\w-]+\.tsx?)\((\d+),\d+\)/gm, (whole, name: string, at: string) => {
    let line = Number(at);
    for (const { page, line: fence, code } of files.find((file) => file.name === name)?.parts ?? []) {
      const length = code.split("\n").length - 1;
      if (line <= length) return `${page}:${fence + line}`;
      line -= length;
    }
    return whole;
  });
  expect(located.trim()).toBe("");
});

test("relative links resolve, anchors included", () => {
  const broken = pages()
    .flatMap(links)
    .filter(({ target }) => !/^[a-z][a-z+.-]*:/i.test(target))
    .filter(({ page, target }) => {
      const [path = "", anchor] = decodeURIComponent(target).split("#");
      const to = path === "" ? page : normalize(join(dirname(page), path));
      if (to.startsWith("..") || !existsSync(join(root, to))) return true;
      return anchor !== undefined && statSync(join(root, to)).isFile() && to.endsWith(".md") && !anchors(to).has(anchor);
    })
    .map(({ page, line, target }) => `${page}:${line}: ${target}`);
  expect(broken).toEqual([]);
});
