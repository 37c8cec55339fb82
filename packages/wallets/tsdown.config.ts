import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["alby-hub", "blink", "cln", "env", "index", "lnbits", "lnd", "nwc", "phoenixd", "webln"].map((name) => `src/${name}.ts`),
  format: ["esm"],
  platform: "node",
  target: "node22.12",
  fixedExtension: false,
  dts: true,
  sourcemap: true,
});
