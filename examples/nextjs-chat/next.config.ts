import { join } from "node:path";
import type { NextConfig } from "next";

const config: NextConfig = {
  // They run as they are: their own imports (bolt11, undici, zod) stay outside of the bundle.
  serverExternalPackages: ["@l402-tools/ai-sdk", "@l402-tools/core", "@l402-tools/testing"],
  turbopack: { root: join(import.meta.dirname, "../..") },
  devIndicators: false,
  poweredByHeader: false,
};

export default config;
