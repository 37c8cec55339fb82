/** Every service that is reached by HTTP, with its fake and its wallet. */
import type { Wallet } from "@l402-tools/core";
import type { SimWalletOptions } from "@l402-tools/testing";
import { AlbyHubWallet, BlinkWallet, ClnWallet, LnbitsWallet, LndWallet, PhoenixdWallet } from "../../src/index.ts";
import { fakeHub, TOKEN } from "./alby-hub.ts";
import { API_KEY, fakeBlink, WALLET_ID } from "./blink.ts";
import { fakeCln, RUNE } from "./cln.ts";
import { ADMIN_KEY, fakeLnbits } from "./lnbits.ts";
import { fakeLnd, MACAROON } from "./lnd.ts";
import { fakePhoenixd, PASSWORD } from "./phoenixd.ts";
import type { FakeServer } from "./server.ts";
import type { World } from "./world.ts";

export interface ServiceCase {
  fake(world: World): Promise<FakeServer>;
  wallet(url: string): Wallet;
  /** What the money behind it does about fees. */
  readonly sim: SimWalletOptions;
  /** What must never be seen. */
  readonly secret: string;
}

const limited: SimWalletOptions = { feeLimit: "enforced" };
const unlimited: SimWalletOptions = { feeLimit: "none" };

export const services: Readonly<Record<string, ServiceCase>> = {
  blink: { fake: fakeBlink, wallet: (url) => new BlinkWallet(API_KEY, WALLET_ID, { url }), sim: unlimited, secret: API_KEY },
  lnd: { fake: fakeLnd, wallet: (url) => new LndWallet({ url, macaroon: MACAROON }), sim: limited, secret: MACAROON },
  cln: { fake: fakeCln, wallet: (url) => new ClnWallet({ url, rune: RUNE }), sim: limited, secret: RUNE },
  "alby-hub": { fake: fakeHub, wallet: (url) => new AlbyHubWallet({ url, token: TOKEN }), sim: unlimited, secret: TOKEN },
  lnbits: { fake: fakeLnbits, wallet: (url) => new LnbitsWallet({ url, adminKey: ADMIN_KEY }), sim: unlimited, secret: ADMIN_KEY },
  phoenixd: { fake: fakePhoenixd, wallet: (url) => new PhoenixdWallet({ url, password: PASSWORD }), sim: unlimited, secret: PASSWORD },
};
