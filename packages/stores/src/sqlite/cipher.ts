/** Secrets at rest: AES-256-GCM by WebCrypto, each value bound to its payment and its field. */
import { StoreError } from "@l402-tools/core";
import { hkdfSync } from "node:crypto";

/** Text as it is, or encrypted bytes. */
export type Sealed = string | Uint8Array;
export type Field = "credential" | "invoice" | "preimage";

export interface Cipher {
  seal(text: string, field: Field, paymentHash: string): Promise<Sealed>;
  open(value: Sealed, field: Field, paymentHash: string): Promise<string>;
}

const NONCE_BYTES = 12;
const derive = (key: Uint8Array, purpose: string): Uint8Array<ArrayBuffer> => new Uint8Array(hkdfSync("sha256", key, "", `l402-tools ledger ${purpose}`, 32));

/** Tells whether a key is the ledger's, and nothing else about it. */
export function keyCheck(key: Uint8Array, ledgerId: string): Uint8Array {
  return derive(key, `check ${ledgerId}`);
}

export function cipherOf(key: Uint8Array | undefined): Cipher {
  const plain = (value: Sealed): string => {
    if (typeof value === "string") return value;
    throw new StoreError("store_unavailable", "A value of the ledger is encrypted: another process has given the ledger an encryptionKey. Start this process anew with that key.");
  };
  if (key === undefined) return { seal: async (text) => text, open: async (value) => plain(value) };
  const imported = crypto.subtle.importKey("raw", derive(key, "values"), "AES-GCM", false, ["encrypt", "decrypt"]);
  const parameters = (nonce: Uint8Array<ArrayBuffer>, field: Field, paymentHash: string) => ({ name: "AES-GCM", iv: nonce, additionalData: Buffer.from(`${field} ${paymentHash}`) });
  return {
    async seal(text, field, paymentHash) {
      if (text === "") return text;
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const sealed = await crypto.subtle.encrypt(parameters(nonce, field, paymentHash), await imported, Buffer.from(text));
      return Buffer.concat([nonce, new Uint8Array(sealed)]);
    },
    async open(value, field, paymentHash) {
      if (typeof value === "string") return value; // written before the ledger had a key
      const bytes = Uint8Array.from(value);
      try {
        const text = await crypto.subtle.decrypt(parameters(bytes.subarray(0, NONCE_BYTES), field, paymentHash), await imported, bytes.subarray(NONCE_BYTES));
        return Buffer.from(text).toString();
      } catch (error) {
        throw new StoreError("store_corrupt", `The ${field} of payment ${paymentHash} cannot be decrypted: the ledger is damaged, or was changed by something else.`, { cause: error });
      }
    },
  };
}
