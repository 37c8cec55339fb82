/** The part of the line that pays, as one lazily loaded piece. */
export { buy } from "./buy.ts";
export { readOffer } from "./offer.ts";
export { authorizeOffer, boughtBefore, firstRecovery, isOwnPurchase, knownOffer } from "./purchase.ts";
export { visitDesk } from "./queue.ts";
export { recover, resolveByHand } from "./recovery.ts";
export { keptBeside, redeem, tryKept, useAgain } from "./redeem.ts";
export { noteWait } from "./reserve.ts";
