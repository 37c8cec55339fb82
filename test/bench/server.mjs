/**
 * The server of the bench, in a process of its own so that its CPU time does not count: as light as it can be, with
 * real signed invoices from a pool that is made before anything is measured.
 *
 * /kept        a credential opens it for good             /once/…  each credential opens its path once
 * /service/…   a credential of any path opens all of them  /quote   always the same 402
 */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createLightning } from "@l402-tools/testing";

const BODY = JSON.stringify({ city: "Lisbon", celsius: 21.4, wind: "NW 4", issued: "2025-01-01T12:00:00Z" });
const node = createLightning().node("bench");
/** Offers not handed out yet. */
const pool = [];
/** `credential:preimage` to the place it opens. */
const sold = new Map();
let requests = 0;

/** A macaroon in libmacaroons' V2 format with aperture's identifier. Nobody checks its signature here. */
function macaroon(paymentHash) {
  const field = (tag, data) => Buffer.concat([Buffer.from([tag, data.length]), data]);
  const identifier = Buffer.concat([Buffer.alloc(2), Buffer.from(paymentHash, "hex"), randomBytes(32)]);
  return Buffer.concat([Buffer.from([2]), field(1, Buffer.from("bench")), field(2, identifier), Buffer.alloc(2), field(6, randomBytes(32))]).toString("base64");
}

function makeOffer(amountMsat) {
  const preimage = randomBytes(32).toString("hex");
  const paymentHash = createHash("sha256").update(Buffer.from(preimage, "hex")).digest("hex");
  const { invoice } = node.invoice({ amountMsat, description: "bench", preimage, expirySeconds: 3600 });
  const credential = macaroon(paymentHash);
  return { invoice, preimage, credential, header: `L402 macaroon="${credential}", invoice="${invoice}"` };
}

const fixed = makeOffer(10_000n);

function demand(response, path) {
  const offer = path === "/quote" ? fixed : pool.pop();
  if (offer === undefined) return response.writeHead(500).end("the pool of invoices is empty");
  if (offer !== fixed) sold.set(`${offer.credential}:${offer.preimage}`, path.startsWith("/service/") ? "/service/" : path);
  response.writeHead(402, { "WWW-Authenticate": offer.header, "Content-Type": "text/plain", "Content-Length": 16 }).end("payment required");
}

const server = createServer((request, response) => {
  requests += 1;
  const path = request.url;
  const shown = request.headers.authorization?.slice(5); // behind `L402 `
  const place = shown === undefined || path === "/quote" ? undefined : sold.get(shown);
  if (place === undefined || (place !== path && !(place === "/service/" && path.startsWith(place)))) return demand(response, path);
  if (path.startsWith("/once/")) sold.delete(shown);
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": BODY.length }).end(BODY);
});
server.keepAliveTimeout = 120_000;

/** Adds `count` offers to the pool, or none while it has so many; answers with the preimages of the new ones. */
process.on("message", ({ count, sats }) => {
  const made = Array.from({ length: count }, () => makeOffer(BigInt(sats) * 1000n));
  pool.push(...made);
  process.send({ preimages: made.map(({ invoice, preimage }) => [invoice, preimage]), requests });
});
process.on("disconnect", () => process.exit());

server.listen(0, "127.0.0.1");
await once(server, "listening");
process.send({ port: server.address().port });
