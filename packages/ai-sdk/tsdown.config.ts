import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["src/index.ts"],
  format: ["esm"],
  platform: "node",
  target: "node22.12",
  fixedExtension: false,
  dts: true,
  sourcemap: true,
});
