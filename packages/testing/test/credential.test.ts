import macaroons from "macaroon";
import { expect, test } from "vitest";
import { mintMacaroon, readAuthorization, verifyCredential } from "../src/credential.ts";
import { sha256 } from "../src/hash.ts";

const secret = Buffer.alloc(32, 7);
const preimage = Buffer.alloc(32, 9);
const options = { secret, paymentHash: sha256(preimage).toString("hex"), tokenId: "ab".repeat(32), location: "lsat" };

test("macaroons are what the library itself would write", () => {
  for (const caveats of [[], ["services=weather:0"], ["RequestPath = /a", `RequestMethod = ${"x".repeat(300)}`]]) {
    const binary = mintMacaroon({ ...options, caveats });
    const library = macaroons.importMacaroon(binary) as unknown as { exportBinary(): Uint8Array };
    expect(Buffer.from(library.exportBinary()).toString("hex")).toBe(Buffer.from(binary).toString("hex"));
  }
});

test("a credential is read and verified: identifier, caveats, signature, preimage", () => {
  const macaroon = Buffer.from(mintMacaroon({ ...options, caveats: ["services=weather:0", "b=c"] })).toString("base64");
  const presented = readAuthorization(`L402 ${macaroon}:${preimage.toString("hex")}`);
  expect(presented).toMatchObject({ scheme: "L402", paymentHash: options.paymentHash, tokenId: options.tokenId });
  if (presented === undefined) return;
  const seen: string[] = [];
  expect(verifyCredential(presented, secret, (caveat) => (seen.push(caveat), null))).toBeUndefined();
  expect(seen).toEqual(["services=weather:0", "b=c"]);
  expect(verifyCredential(presented, secret, (caveat) => (caveat === "b=c" ? "not today" : null))).toContain("not today");
  expect(verifyCredential(presented, Buffer.alloc(32), () => null)).toContain("signature");
  expect(verifyCredential({ ...presented, preimage: "00".repeat(32) }, secret, () => null)).toContain("preimage");
});

test("anything else is not a credential", () => {
  for (const value of [null, "", "Bearer x", "L402", "L402 abc", `L402 abc:${"0".repeat(64)}`, `L402 ${Buffer.alloc(80).toString("base64")}:${"0".repeat(64)}`]) {
    expect(readAuthorization(value)).toBeUndefined();
  }
});
