/** The server in its child process, the wallet that pays its invoices, and everybody who is compared. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { fetchWithL402 } from "@getalby/lightning-tools/402/l402";
import { L402Client } from "@l402-tools/core";
import l402 from "l402";

// The package `l402` brings its own axios, and puts its interceptor into an instance of it.
const axios = createRequire(createRequire(import.meta.url).resolve("l402"))("axios");

export const PRICE_SATS = 10;

export async function startServer() {
  const child = fork(new URL("server.mjs", import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const preimages = new Map();
  const [{ port }] = await once(child, "message");
  return {
    origin: `http://127.0.0.1:${port}`,
    preimages,
    /** Puts `count` more invoices into the server's pool. Answers with the requests that it has seen so far. */
    async stock(count) {
      child.send({ count, sats: PRICE_SATS });
      const [answer] = await once(child, "message");
      for (const [invoice, preimage] of answer.preimages) preimages.set(invoice, preimage);
      return answer.requests;
    },
    async close() {
      child.kill();
      await once(child, "exit");
    },
  };
}

/** A wallet that knows every preimage and answers after `delayMs`; 0: at once, without a timer. */
export function createWallet(server, delayMs = 0) {
  const wallet = {
    paid: [],
    /** Invoices with it now, and the most there ever were. */
    busy: 0,
    most: 0,
    async preimageOf(invoice) {
      wallet.paid.push(invoice);
      wallet.busy += 1;
      wallet.most = Math.max(wallet.most, wallet.busy);
      if (delayMs > 0) await sleep(delayMs);
      wallet.busy -= 1;
      return server.preimages.get(invoice);
    },
  };
  return wallet;
}

/** l402-tools. */
export function ours(wallet, options) {
  return new L402Client({ wallet: { payInvoice: async (invoice) => ({ preimage: await wallet.preimageOf(invoice) }) }, network: "regtest", ...options });
}

/** `@getalby/lightning-tools`: a function; what it buys is kept by its caller, if at all. */
export function alby(wallet) {
  const payer = { payInvoice: async ({ invoice }) => ({ preimage: await wallet.preimageOf(invoice) }) };
  return (url, credentials) => fetchWithL402(url, {}, { wallet: payer, ...(credentials === undefined ? {} : { credentials }) });
}

/** `l402`: an interceptor for axios, with a store of credentials. */
export function l402Axios(wallet, keyMode) {
  const instance = axios.create();
  const payer = { payInvoice: async (invoice) => ({ success: true, preimage: await wallet.preimageOf(invoice) }) };
  l402.setupL402Interceptor(instance, payer, new l402.MemoryTokenStore({ keyMode }));
  return (url) => instance.get(url);
}

/** Reads a response to its end, as a caller would. @throws when it is another status. */
export async function read(response, status = 200) {
  if (response.status !== status) throw new Error(`HTTP ${response.status}`);
  return response.text();
}
