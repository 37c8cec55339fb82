/** Reads our sources as syntax trees, for the checks that look at how the code is built. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "vite";

export const root: string = fileURLToPath(new URL("..", import.meta.url));

export interface Manifest {
  name: string;
  version: string;
  private?: boolean;
  license?: string;
  description?: string;
  bin?: Record<string, string>;
  files?: string[];
  engines?: Record<string, string>;
  exports?: Record<string, unknown>;
  publishConfig?: Record<string, unknown>;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

export interface Package {
  /** Folder name below `packages/`. */
  folder: string;
  dir: string;
  manifest: Manifest;
}

export function packages(): Package[] {
  return readdirSync(join(root, "packages"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && readdirSync(join(root, "packages", entry.name)).includes("package.json"))
    .map((entry) => {
      const dir = join(root, "packages", entry.name);
      return { folder: entry.name, dir, manifest: JSON.parse(readFileSync(join(dir, "package.json"), "utf8")) as Manifest };
    });
}

export interface Import {
  /** As written, e.g. `./money.ts` or `node:http`. */
  from: string;
  /** Names taken; `*` for all of them. */
  names: string[];
  typeOnly: boolean;
  dynamic: boolean;
  reexport: boolean;
}

// The tree is walked without knowing each node's shape.
export type Node = { type: string; start: number; [key: string]: unknown };

export interface Source {
  /** Path below the repository's root. */
  file: string;
  text: string;
  program: Node;
  imports: Import[];
}

const parsed = new Map<string, Source>();

export function source(path: string): Source {
  const known = parsed.get(path);
  if (known) return known;
  const text = readFileSync(path, "utf8");
  const { program, module, errors } = parseSync(path, text);
  const file = relative(root, path);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);

  const imports: Import[] = [];
  for (const { moduleRequest, entries } of module.staticImports) {
    imports.push({
      from: moduleRequest.value,
      names: entries.map(({ importName }) => importName.name ?? (importName.kind === "Default" ? "default" : "*")),
      typeOnly: entries.length > 0 && entries.every((entry) => entry.isType),
      dynamic: false,
      reexport: false,
    });
  }
  for (const { entries } of module.staticExports) {
    for (const { moduleRequest, importName, isType } of entries) {
      if (!moduleRequest) continue;
      imports.push({ from: moduleRequest.value, names: [importName.name ?? "*"], typeOnly: isType, dynamic: false, reexport: true });
    }
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const from = text.slice(moduleRequest.start, moduleRequest.end).replace(/^["'`]|["'`]$/g, "");
    imports.push({ from, names: ["*"], typeOnly: false, dynamic: true, reexport: false });
  }
  const result = { file, text, program: program as unknown as Node, imports };
  parsed.set(path, result);
  return result;
}

export function sourcesBelow(dir: string): Source[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.parentPath.includes("node_modules"))
    .map((entry) => source(join(entry.parentPath, entry.name)));
}

/** `file:line` of a node. */
export function place({ file, text }: Source, node: Node): string {
  return `${file}:${text.slice(0, node.start).split("\n").length}`;
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && typeof (value as Node).type === "string";

const EXPRESSIONS_OF_TYPESCRIPT = new Set(["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression", "TSInstantiationExpression"]);

/** Calls `visit` for every node that exists at run time (types are left out), the parent first. */
export function walk(node: Node, visit: (node: Node, parent: Node | undefined, key: string) => void, parent?: Node, key = ""): void {
  if (node.type.startsWith("TS") && !EXPRESSIONS_OF_TYPESCRIPT.has(node.type)) return;
  visit(node, parent, key);
  for (const [name, value] of Object.entries(node)) {
    if (isNode(value)) walk(value, visit, node, name);
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) walk(item, visit, node, name);
  }
}

/** Whether an identifier node stands for a variable, and is not a property's or a label's name. */
export function isReference(node: Node, parent: Node | undefined, key: string): boolean {
  if (node.type !== "Identifier" || !parent) return false;
  if (key === "property" && parent["computed"] !== true) return false;
  if (key === "key" && parent["computed"] !== true) return false;
  return key !== "label";
}

/** `a.b.c` for a chain of plain names, else undefined. */
export function dotted(node: Node): string | undefined {
  if (node.type === "Identifier") return node["name"] as string;
  if (node.type !== "MemberExpression" || node["computed"] === true) return undefined;
  const object = dotted(node["object"] as Node);
  return object === undefined ? undefined : `${object}.${(node["property"] as Node)["name"] as string}`;
}

/** Names that a file declares anywhere: variables, parameters, functions, classes, imports. */
export function declared({ program }: Source): Set<string> {
  const names = new Set<string>();
  const pattern = (node: unknown): void => {
    if (!isNode(node)) return;
    if (node.type === "Identifier") names.add(node["name"] as string);
    else if (node.type === "ObjectPattern") for (const part of node["properties"] as Node[]) pattern(part["value"] ?? part["argument"]);
    else if (node.type === "ArrayPattern") for (const part of node["elements"] as unknown[]) pattern(part);
    else if (node.type === "AssignmentPattern") pattern(node["left"]);
    else if (node.type === "RestElement") pattern(node["argument"]);
    else if (node.type === "TSParameterProperty") pattern(node["parameter"]);
  };
  walk(program, (node) => {
    if (node.type === "VariableDeclarator") pattern(node["id"]);
    if (node.type === "FunctionDeclaration" || node.type === "ClassDeclaration") pattern(node["id"]);
    if (node.type.startsWith("Import")) pattern(node["local"]);
    if (node.type === "CatchClause") pattern(node["param"]);
    if (Array.isArray(node["params"])) for (const param of node["params"]) pattern(param);
  });
  return names;
}
