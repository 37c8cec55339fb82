import { defineConfig } from "tsdown";

export default defineConfig({
  entry: { "sqlite/index": "src/sqlite/index.ts" },
  format: ["esm"],
  platform: "node",
  target: "node22.13",
  fixedExtension: false,
  dts: true,
  sourcemap: true,
});
