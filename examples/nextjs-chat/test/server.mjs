/** The built app in a process of its own, on a free loopback port. Its parent asks it what only the server knows. */
import { createServer } from "node:http";
import { join } from "node:path";
import next from "next";
import { faultsOf, readBooks } from "../../demo/books.ts";

const app = next({ dev: false, dir: join(import.meta.dirname, "..") });
await app.prepare();
const server = createServer(app.getRequestHandler());

/** What the routes share; see `lib/world.ts`. */
const world = () => globalThis.l402ChatWorld;

const answers = {
  /** A new world: a full budget, and nothing bought. */
  async reset() {
    const old = await world();
    delete globalThis.l402ChatWorld;
    await old?.client.close();
    await old?.shop.close();
  },
  /** What does not add up between ledger, wallet, shop and network. */
  async faults({ budgetSats, toldSats }) {
    const { client, wallet, shop, lightning } = await world();
    const books = await readBooks({ client, wallet, shop, lightning }, { budgetSats, toldSats, walletBeforeMsat: wallet.balanceMsat + wallet.spentMsat, networkBeforeMsat: lightning.mintedMsat });
    return faultsOf(books);
  },
  async sold() {
    const { shop } = await world();
    return shop.sales.filter(({ paid }) => paid).map(({ path, delivered }) => ({ path, delivered }));
  },
  /** What must not leave the server: preimages, credentials, invoices. */
  async secrets() {
    const { shop, secret } = await world();
    const sent = shop.requests.flatMap(({ headers }) => (headers.authorization ?? "").split(/[\s:]+/).slice(1));
    return [secret, ...sent, ...shop.sales.flatMap(({ paymentHash, invoice }) => [shop.payee.preimageOf(paymentHash), invoice])];
  },
  async hold() {
    (await world()).wallet.hold();
  },
  async release() {
    (await world()).wallet.unhold();
  },
};

process.on("message", ({ id, ask, input }) => {
  answers[ask](input).then(
    (value) => process.send({ id, value }),
    (error) => process.send({ id, error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
