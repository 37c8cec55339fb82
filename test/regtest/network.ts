/**
 * A Lightning network of real nodes on a private chain: btcd; alice, who pays; bob, who forwards and charges for it;
 * carol, who is paid; and Aperture in front of a service, with carol's node. All of it on free loopback ports, in one
 * temporary folder.
 */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Programs } from "./build.ts";
import { call, LndNode, type Json, type NodeFacts, type NodeName } from "./node.ts";
import { Daemon, freePorts, until } from "./processes.ts";

/** What tests and people need to know of a running network. */
export interface NetworkFacts {
  readonly folder: string;
  readonly nodes: Readonly<Record<NodeName, NodeFacts>>;
  /** Path of the macaroon that can only pay and look up. */
  readonly agentMacaroon: string;
  /** Aperture, and an Aperture that offers the `Payment` scheme beside L402. */
  readonly aperture: string;
  readonly apertureMpp: string;
  /** The file with the prices of /dynamic/…: a JSON object of path to sats. */
  readonly prices: string;
  /** The path of lncli. */
  readonly lncli: string;
  /** Where nodes are killed and started. */
  readonly control: string;
  /** What bob charges. */
  readonly bobFee: { readonly baseMsat: number; readonly perMillion: number };
}

const NAMES: readonly NodeName[] = ["alice", "bob", "carol"];
/** Not whole sats, so that a fee that is rounded anywhere shows. */
const BOB_FEE = { baseMsat: 1_234, perMillion: 1_750 };
const ALICE_BOB_SATS = 10_000_000;
const BOB_CAROL_SATS = 2_500_000;
/** CSV and segwit are locked in after three windows of 100 blocks. */
const BLOCKS = 320;
const CONFIRMATIONS = 6;
/** Of nobody: blocks are mined to alice as soon as she has a wallet. */
const NOBODY = "sb1qw508d6qejxtdg4y5r3zarvary0c5xw7krxe8se";
const RIGHTS = ["/routerrpc.Router/SendPaymentV2", "/routerrpc.Router/TrackPaymentV2", "/lnrpc.Lightning/ChannelBalance"];

export interface Network {
  readonly facts: NetworkFacts;
  /** Ends every program, and removes the folder. */
  stop(options?: { keepFolder: boolean }): Promise<void>;
}

/** Starts everything, funds it and opens the channels. What was started is ended again if that fails. */
export async function startNetwork(programs: Programs, stopped: AbortSignal): Promise<Network> {
  const folder = await mkdtemp(join(tmpdir(), "l402-regtest-"));
  const daemons: Daemon[] = [];
  const servers: Server[] = [];
  const stop: Network["stop"] = async ({ keepFolder } = { keepFolder: false }) => {
    await end(daemons, servers);
    if (!keepFolder) await rm(folder, { recursive: true, force: true });
  };
  try {
    return { facts: await begin(programs, folder, daemons, servers, stopped), stop };
  } catch (error) {
    if (!stopped.aborted) for (const daemon of daemons) console.error(`--- ${daemon.name}\n${await daemon.tail(15)}`);
    await stop();
    throw error;
  }
}

/** The chain last: the nodes write to it. */
async function end(daemons: readonly Daemon[], servers: readonly Server[]): Promise<void> {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  const [chain, ...others] = daemons;
  await Promise.all(others.map((daemon) => daemon.end()));
  await chain?.end();
}

async function begin(programs: Programs, folder: string, daemons: Daemon[], servers: Server[], stopped: AbortSignal): Promise<NetworkFacts> {
  const ports = await freePorts(14);
  const port = (): number => ports.pop() as number;
  const fact = <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> =>
    until(what, look, () => (stopped.aborted ? "stopped" : daemons.map((daemon) => daemon.over()).find((why) => why !== undefined)));

  // The chain.
  const [rpc, chainPort] = [port(), port()];
  const rpcCert = join(folder, "btcd", "rpc.cert");
  const btcdArgs = (address: string): string[] => [
    "--simnet", "--nodnsseed", "--nobanning", "--nostalldetect", `--listen=127.0.0.1:${chainPort}`, `--rpclisten=127.0.0.1:${rpc}`, "--rpcuser=regtest", "--rpcpass=regtest",
    `--rpccert=${rpcCert}`, `--rpckey=${join(folder, "btcd", "rpc.key")}`, `--datadir=${join(folder, "btcd", "data")}`, `--logdir=${join(folder, "btcd", "logs")}`, `--configfile=${join(folder, "btcd", "none.conf")}`,
    "--txindex", "--minrelaytxfee=0.00001", `--miningaddr=${address}`,
  ];
  const btcd = new Daemon({ name: "btcd", command: programs.btcd, args: [] }, join(folder, "btcd"));
  const chain = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const answer = await call(`https://127.0.0.1:${rpc}`, { ca: await readFile(rpcCert, "utf8"), method: "POST", headers: { authorization: `Basic ${Buffer.from("regtest:regtest").toString("base64")}` }, body: { jsonrpc: "1.0", id: 1, method, params } });
    if (answer["error"] !== null) throw new Error(`${method}: ${JSON.stringify(answer["error"])}`);
    return answer["result"];
  };
  daemons.push(btcd);
  btcd.start(btcdArgs(NOBODY));
  await fact("btcd answers", async () => (await chain("getblockcount")) === 0);
  await chain("generate", 1);

  // The nodes.
  const nodes = {} as Record<NodeName, LndNode>;
  const lnds = {} as Record<NodeName, Daemon>;
  for (const name of NAMES) {
    const home = join(folder, name);
    const [rest, grpc, peer] = [port(), port(), port()];
    nodes[name] = new LndNode({ name, url: `https://127.0.0.1:${rest}`, grpc: `127.0.0.1:${grpc}`, peer: `127.0.0.1:${peer}`, cert: join(home, "tls.cert"), macaroons: join(home, "data/chain/bitcoin/simnet") });
    const args = [
      `--lnddir=${home}`, `--alias=${name}`, "--bitcoin.simnet", "--bitcoin.node=btcd", `--btcd.rpchost=127.0.0.1:${rpc}`, "--btcd.rpcuser=regtest", "--btcd.rpcpass=regtest", `--btcd.rpccert=${rpcCert}`,
      `--listen=127.0.0.1:${peer}`, `--restlisten=127.0.0.1:${rest}`, `--rpclisten=127.0.0.1:${grpc}`, "--noseedbackup", "--nobootstrap", "--trickledelay=50", "--minbackoff=100ms", "--maxbackoff=1s",
      "--bitcoin.defaultchanconfs=1", `--bitcoin.basefee=${BOB_FEE.baseMsat}`, `--bitcoin.feerate=${BOB_FEE.perMillion}`, "--debuglevel=info", "--logging.file.disable",
    ];
    lnds[name] = new Daemon({ name, command: programs.lnd, args }, home);
  }
  const { alice, bob, carol } = nodes;
  const active = (name: NodeName): Promise<unknown> => fact(`${name} is active`, async () => (await nodes[name].state()) === "SERVER_ACTIVE");
  const height = async (name: NodeName): Promise<unknown> => {
    const blocks = await chain("getblockcount");
    return fact(`${name} has every block`, async () => {
      const info = await nodes[name].get("/v1/getinfo");
      return info["synced_to_chain"] === true && info["block_height"] === blocks;
    });
  };
  const mine = async (blocks: number): Promise<void> => {
    await chain("generate", blocks);
    await Promise.all(NAMES.map(height));
  };

  // Whose wallet is mined to, is known when it is there.
  daemons.push(lnds.alice);
  lnds.alice.start();
  const address = await fact("alice has an address", async () => (await alice.get("/v1/newaddress"))["address"] as string);
  daemons.pop();
  await lnds.alice.end();
  await btcd.end();
  btcd.start(btcdArgs(address));
  await fact("btcd answers", async () => (await chain("getblockcount")) === 1);
  await chain("generate", BLOCKS);
  for (const name of NAMES) lnds[name].start();
  daemons.push(...NAMES.map((name) => lnds[name]));
  await Promise.all(NAMES.map(active));
  await Promise.all(NAMES.map(height));

  // Money, and channels from alice over bob to carol.
  const keys = { bob: await bob.publicKey(), carol: await carol.publicKey() };
  await alice.connect(bob);
  await bob.connect(carol);
  const pending = (count: number): Promise<unknown> => fact("the transactions are known", async () => ((await chain("getrawmempool")) as unknown[]).length === count);
  const open = (from: LndNode, to: string, sats: number): Promise<unknown> =>
    fact("a channel is opened", async () => from.post("/v1/channels", { node_pubkey: Buffer.from(to, "hex").toString("base64"), local_funding_amount: String(sats), sat_per_vbyte: "2" }));
  await fact("alice has mature coins", async () => BigInt(String((await alice.get("/v1/balance/blockchain"))["confirmed_balance"])) > 2n * BigInt(ALICE_BOB_SATS));
  await alice.post("/v1/transactions", { addr: (await bob.get("/v1/newaddress"))["address"], amount: String(2 * BOB_CAROL_SATS), sat_per_vbyte: "2" });
  await open(alice, keys.bob, ALICE_BOB_SATS);
  await pending(2);
  await mine(CONFIRMATIONS);
  await fact("bob has coins", async () => BigInt(String((await bob.get("/v1/balance/blockchain"))["confirmed_balance"])) > BigInt(BOB_CAROL_SATS));
  await open(bob, keys.carol, BOB_CAROL_SATS);
  await pending(1);
  await mine(CONFIRMATIONS);
  for (const [name, count] of [["alice", 1], ["bob", 2], ["carol", 1]] as const) {
    await fact(`${name}'s channels are active`, async () => (await nodes[name].channels()).filter((channel) => channel["active"] === true).length === count);
  }
  await fact("alice knows what bob charges", async () => {
    const edges = (await alice.get("/v1/graph"))["edges"] as Json[];
    return edges.length === 2 && edges.every((edge) => edge["node1_policy"] !== null && edge["node2_policy"] !== null);
  });
  const baked = await alice.post("/v1/macaroon", { permissions: RIGHTS.map((action) => ({ entity: "uri", action })) });
  const agentMacaroon = join(folder, "agent.macaroon");
  await writeFile(agentMacaroon, Buffer.from(String(baked["macaroon"]), "hex"));

  // What is sold, and Aperture in front of it.
  const goods = await serve(servers, (url) => ({ status: 200, body: { path: url.pathname } }));
  const prices = join(folder, "prices.json");
  await writeFile(prices, JSON.stringify({ "/dynamic/report": 40 }));
  const pricer = port();
  daemons.push(new Daemon({ name: "pricer", command: programs.pricer, args: [`127.0.0.1:${pricer}`, prices] }, join(folder, "pricer")));
  daemons.at(-1)?.start();
  const apertures: string[] = [];
  for (const name of ["aperture", "aperture-mpp"]) {
    const home = join(folder, name);
    const listen = `127.0.0.1:${port()}`;
    const service = (path: string, more: Json): Json => ({ name: path, hostregexp: ".*", pathregexp: `^/${path}/.*$`, address: new URL(goods).host, protocol: "http", ...more });
    const config = {
      listenaddr: listen,
      insecure: true,
      // A credential opens only when carol's node says that its invoice is settled.
      strictverify: true,
      debuglevel: "debug",
      basedir: home,
      dbbackend: "sqlite",
      authenticator: {
        network: "simnet",
        lndhost: carol.facts.grpc,
        tlspath: carol.facts.cert,
        macdir: carol.facts.macaroons,
        ...(name === "aperture-mpp" ? { enablempp: true, enablesessions: true, mpprealm: "regtest" } : {}),
      },
      services: [
        service("weather", { price: 100 }),
        service("books", { price: 250 }),
        // For twenty seconds.
        service("minutes", { price: 5, timeout: 20 }),
        service("dynamic", { dynamicprice: { enabled: true, grpcaddress: `127.0.0.1:${pricer}`, insecure: true } }),
        service("free", { auth: "off" }),
        service("payment-only", { price: 30, authscheme: "mpp" }),
      ],
    };
    const daemon = new Daemon({ name, command: programs.aperture, args: [`--configfile=${join(home, "aperture.yaml")}`, `--sqlite.dbfile=${join(home, "aperture.db")}`] }, home);
    // JSON is YAML.
    await writeFile(join(home, "aperture.yaml"), JSON.stringify(config, undefined, 2));
    daemons.push(daemon);
    daemon.start();
    apertures.push(`http://${listen}`);
  }
  for (const url of apertures) await fact("Aperture challenges", async () => (await fetch(`${url}/weather/today`)).status === 402);

  const control = await serve(servers, async (url) => {
    const lnd = lnds[url.searchParams.get("node") as NodeName];
    if (lnd === undefined) return { status: 404, body: {} };
    if (url.pathname === "/kill") await lnd.end("SIGKILL");
    else if (url.pathname === "/start") lnd.start();
    else return { status: 404, body: {} };
    return { status: 200, body: {} };
  });
  const facts: NetworkFacts = {
    folder,
    nodes: { alice: alice.facts, bob: bob.facts, carol: carol.facts },
    agentMacaroon,
    aperture: apertures[0] as string,
    apertureMpp: apertures[1] as string,
    prices,
    lncli: programs.lncli,
    control,
    bobFee: BOB_FEE,
  };
  await writeFile(join(folder, "network.json"), JSON.stringify(facts, undefined, 2));
  return facts;
}

/** JSON on a free loopback port. */
async function serve(servers: Server[], answer: (url: URL) => { status: number; body: unknown } | Promise<{ status: number; body: unknown }>): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    Promise.resolve(answer(new URL(incoming.url ?? "/", "http://127.0.0.1")))
      .catch((error: unknown) => ({ status: 500, body: { error: String(error) } }))
      .then(({ status, body }) => outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)), () => {});
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}
