export { createTestClock, systemClock, TEST_CLOCK_START, type TestClock } from "./clock.ts";
export type { Network } from "./bolt11.ts";
export {
  createLightning,
  type DoublePayment,
  type IssuedInvoice,
  type Lightning,
  type LightningNode,
  type LightningOptions,
  type NewInvoice,
} from "./lightning.ts";
export { behaviours, type Behaviour, type BehaviourName, type BehaviourScript, type LookupBehaviour } from "./behaviour.ts";
export type { SimCall, SimPayment, SimWallet, SimWalletOptions } from "./wallet.ts";
export {
  createPaywall,
  fetchOf,
  type CredentialKind,
  type LoggedRequest,
  type Paywall,
  type PaywallOptions,
  type Price,
  type RouteOptions,
  type Sale,
  type SellingOptions,
} from "./paywall.ts";
export { payableWires, type PayableWire, type UnpayableWire, type WireName } from "./wire.ts";
export { misbehaviours, type Misbehaviour, type MisbehaviourName, type Phase } from "./misbehave.ts";
export { describeContract, runContract, type ContractCase, type TestFunction } from "./contracts/case.ts";
export { storeContract, type MakeStore } from "./contracts/store.ts";
export { durableStoreContract, type OpenStore } from "./contracts/durable-store.ts";
export { walletContract, type MakeWallet, type WalletHarness } from "./contracts/wallet.ts";
export { audit, watchSpending, type AuditOptions, type AuditReport, type SpendingWatch } from "./audit.ts";
export { adapterContract, type AdapterHarness, type MakeAdapter, type ToolAnswer } from "./contracts/adapter.ts";
