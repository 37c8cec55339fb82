import { memoryStore, PolicyError } from "@l402-tools/core";
import { EXIT } from "../errors.ts";
import { readingClient } from "../ledger.ts";
import { readRequest, REQUEST_HELP, REQUEST_OPTIONS, transport } from "../request.ts";
import { Scope } from "../scope.ts";
import { place, quoted, sats, time } from "../text.ts";
import type { Command } from "./command.ts";

export const quote: Command = {
  name: "quote",
  usage: "URL [options]",
  summary: "what a request costs; pays nothing",
  details: `Needs neither a wallet nor a ledger. With --max-price the exit code says whether it is dearer (${EXIT.refused}).

${REQUEST_HELP}`,
  options: REQUEST_OPTIONS,
  async run({ terminal, settings, values, positionals }) {
    const { url, init, maxPriceSats } = await readRequest(values, positionals, terminal.io);
    await using scope = new Scope();
    const fetch = scope.use(await transport(settings));
    const client = scope.use(readingClient(settings, memoryStore(), { fetch }));
    const found = await client.quote(url, init);
    await terminal.result(found === null ? { url: url.href, method: init.method, free: true } : { free: false, ...found, id: undefined }, () =>
      found === null
        ? ["No L402 price is asked for this request."]
        : [
            `Price     ${sats(found.amountSats)}${found.amountMsat === found.amountSats * 1_000 ? "" : ` (${found.amountMsat} msat)`}`,
            `Request   ${found.method} ${place(found.url)}`,
            `Payee     ${found.payee}`,
            ...(found.description === "" ? [] : [`They say  ${quoted(found.description, 200)}`]),
            `Network   ${found.network}`,
            `Expires   ${time(found.expiresAt)}`,
          ],
    );
    if (found !== null && maxPriceSats !== undefined && found.amountMsat > maxPriceSats * 1_000) {
      throw new PolicyError("policy_price", `It costs ${sats(found.amountSats)}, more than --max-price allows. Nothing was paid.`);
    }
    return EXIT.done;
  },
};
