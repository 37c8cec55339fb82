import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { name: "wallets", environment: "node", include: ["test/**/*.test.ts"] },
});
