/** `@l402-tools/wallets`: Lightning wallets that implement the port of `@l402-tools/core`. */
export {};
