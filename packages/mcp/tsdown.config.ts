import { readFileSync } from "node:fs";
import { defineConfig } from "tsdown";

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as { version: string };

export default defineConfig({
  entry: ["src/index.ts", "src/bin.ts"],
  format: ["esm"],
  platform: "node",
  target: "node22.13",
  fixedExtension: false,
  dts: { entry: ["src/index.ts"] },
  sourcemap: true,
  define: { __VERSION__: JSON.stringify(version) },
});
