/** What a person needs at hand to use the network: lines for a shell. */
import { fileURLToPath } from "node:url";
import type { NetworkFacts } from "./network.ts";
import type { NodeFacts } from "./node.ts";

export function manual(facts: NetworkFacts): string {
  const { alice, bob, carol } = facts.nodes;
  const lncli = ({ grpc, cert, macaroons }: NodeFacts): string => `'${facts.lncli} --network=simnet --rpcserver=${grpc} --tlscertpath=${cert} --macaroonpath=${macaroons}/admin.macaroon'`;
  return `
In another terminal; Ctrl-C here stops it all and removes ${facts.folder}

export LND_REST_URL=${alice.url} LND_TLS_CERT=${alice.cert} LND_MACAROON=${facts.agentMacaroon}
export L402_NETWORK=simnet L402_LEDGER=${facts.folder}/ledger/ledger.db BUDGET_SATS=2000 L402_ALLOW_HOSTS=${new URL(facts.aperture).host},${new URL(facts.apertureMpp).host}
export APERTURE=${facts.aperture} APERTURE_MPP=${facts.apertureMpp} PRICES=${facts.prices}
alias l402-tools='${process.execPath} ${fileURLToPath(new URL("../../packages/cli/dist/bin.js", import.meta.url))}'
alias alice=${lncli(alice)}
alias bob=${lncli(bob)}
alias carol=${lncli(carol)}
`;
}
