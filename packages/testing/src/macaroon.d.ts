declare module "macaroon" {
  export interface Macaroon {
    readonly identifier: Uint8Array;
    readonly caveats: { identifier: Uint8Array }[];
    addFirstPartyCaveat(condition: string | Uint8Array): void;
    /** Signature, hex or base64url by field name. */
    exportJSON(): { s?: string; s64?: string };
    verify(rootKey: Uint8Array, check: (condition: string) => string | null): void;
  }
  const macaroon: {
    newMacaroon(options: { version: 2; rootKey: Uint8Array; identifier: Uint8Array; location: string }): Macaroon;
    importMacaroon(binary: Uint8Array): Macaroon;
  };
  export default macaroon;
}
