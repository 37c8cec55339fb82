/** The rules of AGENTS.md that can be seen in the sources. */
import { existsSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";
import { declared, dotted, isReference, type Node, packages, place, root, type Source, source, sourcesBelow, walk } from "./source.ts";

const core = join(root, "packages/core/src");
const all = packages();
const sources = all.flatMap((pkg) => sourcesBelow(join(pkg.dir, "src")).map((file) => ({ pkg, file })));
const coreSources = sourcesBelow(core);
const inCore = (file: Source): string => relative(core, join(root, file.file));

/** All places in `files` where `match` holds. */
function places(files: Source[], match: (node: Node, parent: Node | undefined, key: string, file: Source) => boolean): string[] {
  const found: string[] = [];
  for (const file of files) {
    walk(file.program, (node, parent, key) => {
      if (match(node, parent, key, file)) found.push(place(file, node));
    });
  }
  return found;
}

const isEffectFile = (file: Source): boolean => inCore(file) === "clock.ts" || inCore(file).startsWith("transport/");
const engine = coreSources.filter((file) => !isEffectFile(file));

test("the sources are found", () => {
  expect(coreSources.length).toBeGreaterThan(5);
});

test("core takes the time from its Clock", () => {
  const clockless = places(engine, (node, _parent, _key, file) => {
    const isDate = (callee: unknown): boolean => dotted(callee as Node) === "Date" && !declared(file).has("Date");
    if (node.type === "NewExpression" && isDate(node["callee"])) return (node["arguments"] as unknown[]).length === 0;
    if (node.type === "CallExpression" && isDate(node["callee"])) return true;
    return ["Date.now", "performance.now", "AbortSignal.timeout"].includes(dotted(node) ?? "");
  });
  expect(clockless).toEqual([]);
});

test("core draws no random numbers that decide anything", () => {
  expect(places(engine, (node) => dotted(node) === "Math.random")).toEqual([]);
});

test.for([
  { names: ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"], allowed: [] as string[] },
  { names: ["process", "Buffer", "console", "WebSocket", "EventSource", "XMLHttpRequest", "require"], allowed: [] },
  // The default of the `fetch` option, and nowhere else.
  { names: ["fetch"], allowed: ["options.ts"] },
])("core reaches no $names.0 around its ports", ({ names, allowed }) => {
  const found = places(
    engine.filter((file) => !allowed.includes(inCore(file))),
    (node, parent, key, file) => {
      if (node.type === "MemberExpression") return names.some((name) => dotted(node) === `globalThis.${name}`);
      return isReference(node, parent, key) && names.includes(node["name"] as string) && !declared(file).has(node["name"] as string);
    },
  );
  expect(found).toEqual([]);
});

test("only core's transport imports from Node", () => {
  const found = engine.flatMap((file) => file.imports.filter(({ from }) => isBuiltin(from)).map(({ from }) => `${file.file}: ${from}`));
  expect(found).toEqual([]);
});

test("core's root entry does not lead to the transport, to bolt11 or to the part that pays before they are needed", () => {
  const seen = new Set<string>();
  const outside = new Set<string>();
  const follow = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { from, typeOnly, dynamic } of source(path).imports) {
      if (typeOnly || dynamic) continue;
      if (from.startsWith(".")) follow(resolve(dirname(path), from));
      else outside.add(from);
    }
  };
  follow(join(core, "index.ts"));
  expect([...seen].filter((path) => path.startsWith(join(core, "transport")) || path === join(core, "paying.ts"))).toEqual([]);
  expect([...outside].filter((from) => isBuiltin(from) || from === "undici" || from === "bolt11")).toEqual([]);
});

// ports, money, errors <- the steps <- paid-fetch <- client <- tools <- index
const LAYERS: Record<string, number> = { "paid-fetch.ts": 2, "client.ts": 3, "index.ts": 5 };
// budget.ts is the arithmetic of limits: pure, and the same in every store.
for (const plain of ["ports.ts", "types.ts", "money.ts", "errors.ts", "budget.ts"]) LAYERS[plain] = 0;
const layer = (file: string): number => LAYERS[file] ?? (file.startsWith("tools/") ? 4 : 1);

test("core's imports go one way", () => {
  const upward = coreSources.flatMap((file) =>
    file.imports
      .filter(({ from }) => from.startsWith("."))
      .map(({ from }) => [inCore(file), relative(core, resolve(dirname(join(root, file.file)), from))] as const)
      .filter(([importer, imported]) => layer(importer) < layer(imported))
      .map(([importer, imported]) => `${importer} -> ${imported}`),
  );
  expect(upward).toEqual([]);
});

test("no import leaves its package, other than by a declared dependency", () => {
  const found = sources.flatMap(({ pkg, file }) =>
    file.imports.flatMap(({ from, typeOnly, dynamic }) => {
      if (dynamic && from.includes("(")) return []; // computed: a module that the user names
      if (from.startsWith(".")) {
        const path = resolve(dirname(join(root, file.file)), from);
        return path.startsWith(`${join(pkg.dir, "src")}/`) ? [] : [`${file.file}: ${from}`];
      }
      if (isBuiltin(from)) return [];
      // The command loads the wallet module that its user names.
      if (pkg.folder === "cli" && from.startsWith("pathToFileURL(")) return [];
      const name = from
        .split("/")
        .slice(0, from.startsWith("@") ? 2 : 1)
        .join("/");
      const { dependencies, peerDependencies, devDependencies } = pkg.manifest;
      if (name === pkg.manifest.name) return [`${file.file}: ${from} (imports itself)`];
      const isDeclared = name in { ...dependencies, ...peerDependencies, ...(typeOnly ? devDependencies : {}) };
      return isDeclared ? [] : [`${file.file}: ${from}`];
    }),
  );
  expect(found).toEqual([]);
});

test("packages import each other only towards core", () => {
  const allowed: Record<string, string[]> = {
    core: [],
    wallets: ["@l402-tools/core"],
    stores: ["@l402-tools/core"],
    langchain: ["@l402-tools/core", "@l402-tools/core/tools"],
    "ai-sdk": ["@l402-tools/core", "@l402-tools/core/tools"],
    mcp: ["@l402-tools/core", "@l402-tools/core/tools"],
    cli: ["@l402-tools/core", "@l402-tools/core/transport", "@l402-tools/stores/sqlite", "@l402-tools/wallets/env"],
  };
  // The MCP server's program puts a client together from its configuration, so it knows wallets and stores as well.
  const assembles = (file: string): boolean => file.startsWith("packages/mcp/src/server") || file.startsWith("packages/mcp/src/bin");
  const found = sources.flatMap(({ pkg, file }) => {
    const targets = allowed[pkg.folder];
    if (!targets || assembles(file.file)) return [];
    return file.imports
      .filter(({ from }) => from.startsWith("@l402-tools/") && !targets.includes(from))
      .map(({ from }) => `${file.file}: ${from}`);
  });
  expect(found).toEqual([]);
});

/** Which file of core each export of its index comes from. */
function originOfExports(): Map<string, string> {
  const origin = new Map<string, string>();
  const collect = (path: string): void => {
    for (const statement of source(path).program["body"] as Node[]) {
      const declaration = statement["declaration"] as Node | undefined;
      const ids = declaration ? [declaration["id"], ...((declaration["declarations"] as Node[]) ?? []).map((each) => each["id"])] : [];
      for (const id of ids as (Node | undefined)[]) if (id && statement.type === "ExportNamedDeclaration") origin.set(id["name"] as string, relative(core, path));
      for (const specifier of (statement["specifiers"] as Node[] | undefined) ?? []) {
        const from = (statement["source"] as Node | null)?.["value"] as string | undefined;
        if (specifier.type === "ExportSpecifier" && from) {
          origin.set((specifier["exported"] as Node)["name"] as string, relative(core, resolve(dirname(path), from)));
        }
      }
      if (statement.type === "ExportAllDeclaration") collect(resolve(dirname(path), (statement["source"] as Node)["value"] as string));
    }
  };
  collect(join(core, "index.ts"));
  return origin;
}

test("wallets and stores take nothing from core but ports, plain data, errors, money and the arithmetic of limits", () => {
  const origin = existsSync(join(core, "index.ts")) ? originOfExports() : new Map<string, string>();
  const found = sources
    .filter(({ pkg }) => pkg.folder === "wallets" || pkg.folder === "stores")
    .flatMap(({ file }) => file.imports.filter(({ from }) => from === "@l402-tools/core").map((each) => ({ file, names: each.names })))
    .flatMap(({ file, names }) =>
      names.filter((name) => layer(origin.get(name) ?? "index.ts") > 0).map((name) => `${file.file}: ${name} of ${origin.get(name) ?? "?"}`),
    );
  expect(found).toEqual([]);
});

test("only core knows status 402, and there one file: what may carry an offer, and what refuses a credential", () => {
  const found = places(
    // The paywall of `testing` sends it; the guarded transport only bounds the body of one.
    sources.filter(({ pkg, file }) => pkg.folder !== "testing" && !file.file.includes("core/src/transport/")).map(({ file }) => file),
    (node) => node.type === "Literal" && node["value"] === 402,
  );
  expect([...new Set(found.map((where) => where.replace(/:.*/, "")))].sort()).toEqual(["packages/core/src/credential.ts"]);
});

test("a wallet is asked to pay in one place", () => {
  const found = places(coreSources, (node) => {
    const callee = node["callee"] as Node | undefined;
    return node.type === "CallExpression" && callee?.type === "MemberExpression" && (callee["property"] as Node)["name"] === "pay";
  });
  expect(found).toHaveLength(1);
});

test("core, of which a process may hold two copies, keeps no state in modules", () => {
  // The decoder, once it is loaded, is the one exception: a second copy of it does no harm.
  const found = coreSources.filter((file) => inCore(file) !== "invoice.ts").flatMap((file) =>
    (file.program["body"] as Node[])
      .map((statement) => (statement.type === "ExportNamedDeclaration" ? ((statement["declaration"] as Node | null) ?? statement) : statement))
      .filter((statement) => statement.type === "VariableDeclaration" && statement["kind"] !== "const" && statement["declare"] !== true)
      .map((statement) => place(file, statement)),
  );
  expect(found).toEqual([]);
});

test("errors and clients of another package are matched by brand or code, never by instanceof", () => {
  const found = sources
    .filter(({ pkg }) => pkg.folder !== "core")
    .flatMap(({ file }) => {
      const ours = new Set(file.imports.filter(({ from }) => from.startsWith("@l402-tools/")).flatMap(({ names }) => names));
      return places([file], (node) => {
        const isInstanceof = node.type === "BinaryExpression" && node["operator"] === "instanceof";
        return isInstanceof && ours.has(dotted(node["right"] as Node) ?? "");
      });
    });
  expect(found).toEqual([]);
});
