/** A small L402 server whose invoices are made by the test: real ones, of a node, and held where the test says so. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { onTestFinished } from "vitest";

export interface Paywall {
  /** Its origin. */
  readonly url: string;
  /** Payment hashes of the invoices that it has asked for. */
  readonly asked: readonly string[];
  /** Requests that came with a good credential. */
  readonly opened: number;
}

/** Asks for the next invoice with each 402. It takes any credential with the preimage, unless it `refuses` all. */
export async function paywall(next: () => Promise<{ bolt11: string; paymentHash: string }>, options: { refuses?: boolean } = {}): Promise<Paywall> {
  const asked: string[] = [];
  const tokens = new Map<string, string>();
  let opened = 0;
  const server = createServer((incoming, outgoing) => {
    const [, token = "", preimage = ""] = /^L402 ([^:]+):([0-9a-f]{64})$/.exec(incoming.headers.authorization ?? "") ?? [];
    if (options.refuses !== true && tokens.has(token) && tokens.get(token) === createHash("sha256").update(Buffer.from(preimage, "hex")).digest("hex")) {
      opened += 1;
      outgoing.writeHead(200, { "content-type": "text/plain" }).end("open");
      return;
    }
    next().then(
      ({ bolt11, paymentHash }) => {
        // Opaque: 48 random bytes commit to no payment hash.
        const fresh = `token-${randomBytes(24).toString("hex")}`;
        tokens.set(fresh, paymentHash);
        asked.push(paymentHash);
        outgoing.writeHead(402, { "www-authenticate": `L402 token="${fresh}", invoice="${bolt11}"` }).end();
      },
      (error: unknown) => outgoing.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    asked,
    get opened() {
      return opened;
    },
  };
}
