/** What the checks of the documentation need to know about Markdown. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "./source.ts";

/** README, the other pages at the root, docs and each package's and example's pages. */
export function pages(): string[] {
  const below = (dir: string): string[] =>
    existsSync(join(root, dir))
      ? readdirSync(join(root, dir), { recursive: true, encoding: "utf8", withFileTypes: true })
          .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
          .map((entry) => relative(root, join(entry.parentPath, entry.name)))
          .filter((path) => !/(^|\/)(node_modules|dist)\//.test(path) && !path.endsWith("CHANGELOG.md"))
      : [];
  const top = readdirSync(root).filter((name) => name.endsWith(".md"));
  return [...top, ...below("docs"), ...below("packages"), ...below("examples")].sort();
}

export interface Block {
  page: string;
  /** Line of the fence; the code begins on the next one. */
  line: number;
  language: string;
  code: string;
  /**
   * The comment right above it is `<!-- snippet: continues -->`: it is read on from the block before. Or that comment is
   * `<!-- snippet: given declare const model: LanguageModel; -->`: what a reader has already, put in front of the code.
   */
  continues: boolean;
}

/** The fenced blocks of a page. Indented fences (in lists) count too, and lose their indent. */
export function blocks(page: string): Block[] {
  const found: Block[] = [];
  let open: { fence: string; indent: number; block: Block } | undefined;
  let above = "";
  for (const [index, text] of readFileSync(join(root, page), "utf8").split("\n").entries()) {
    const line = /^(?<indent>\s*)(?<fence>`{3,})\s*(?<language>[\w-]*)/.exec(text)?.groups;
    if (open) {
      if (line && line["language"] === "" && line["fence"]!.length >= open.fence.length) {
        found.push(open.block);
        open = undefined;
      } else open.block.code += `${text.slice(Math.min(open.indent, text.length - text.trimStart().length))}\n`;
    } else if (line) {
      const continues = above === "<!-- snippet: continues -->";
      const given = /^<!-- snippet: given (.+) -->$/.exec(above)?.[1];
      if (above.startsWith("<!-- snippet:") && !continues && !given) throw new Error(`${page}:${index}: unknown marker ${above}`);
      const block = { page, line: index + 1, language: line["language"]!, code: given ? `${given} ` : "", continues };
      open = { fence: line["fence"]!, indent: line["indent"]!.length, block };
    }
    if (text.trim() !== "") above = text.trim();
  }
  if (open) throw new Error(`${page}:${open.block.line}: the block is not closed`);
  return found;
}

export interface Link {
  page: string;
  line: number;
  target: string;
}

/** Links and images, in prose only. */
export function links(page: string): Link[] {
  const found: Link[] = [];
  let fence = "";
  for (const [index, text] of readFileSync(join(root, page), "utf8").split("\n").entries()) {
    const mark = /^\s*(`{3,})/.exec(text)?.[1];
    if (mark) fence = fence === "" ? mark : mark.length >= fence.length ? "" : fence;
    if (fence !== "" || mark) continue;
    const prose = text.replaceAll(/`[^`]*`/g, "``");
    for (const [, inline, reference] of prose.matchAll(/\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)/g)) {
      found.push({ page, line: index + 1, target: inline ?? reference! });
    }
  }
  return found;
}

/** Anchors of a page's headings, as forges make them. */
export function anchors(page: string): Set<string> {
  const found = new Set<string>();
  for (const heading of readFileSync(join(root, page), "utf8").matchAll(/^#{1,6}\s+(.+)$/gm)) {
    const plain = heading[1]!.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(/\s/g, "-");
    let name = plain;
    for (let count = 1; found.has(name); count += 1) name = `${plain}-${count}`;
    found.add(name);
  }
  return found;
}
