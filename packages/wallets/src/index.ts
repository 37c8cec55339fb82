/** `@l402-tools/wallets`: Lightning wallets that implement the port of `@l402-tools/core`. */
export { AlbyHubWallet, type AlbyHubWalletOptions } from "./alby-hub.ts";
export { BlinkWallet, type BlinkWalletOptions } from "./blink.ts";
export { ClnWallet, type ClnWalletOptions } from "./cln.ts";
export { walletFromEnv, type WalletEnv } from "./env.ts";
export { LnbitsWallet, type LnbitsWalletOptions } from "./lnbits.ts";
export { LndWallet, type LndWalletOptions } from "./lnd.ts";
export { NwcWallet, type NwcWalletOptions } from "./nwc.ts";
export { PhoenixdWallet, type PhoenixdWalletOptions } from "./phoenixd.ts";
export { WebLNWallet, type WebLNProvider, type WebLNWalletOptions } from "./webln.ts";
