import { createHash, createHmac } from "node:crypto";

/** SHA-256 of bytes, as bytes. */
export function sha256(data: Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}

/** HMAC-SHA-256 of `label` under `key`: how keys, preimages and root keys come from one seed. */
export function derive(key: Uint8Array | string, label: string): Buffer {
  return createHmac("sha256", key).update(label).digest();
}
