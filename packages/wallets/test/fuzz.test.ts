/** After money moved, no answer, however mutilated, is taken for "not paid", and none makes `pay` throw. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Answer } from "./fakes/server.ts";
import { services } from "./fakes/services.ts";
import { requestOf } from "./fakes/setup.ts";
import { createWorld } from "./fakes/world.ts";

/** Replaces, at a place that `pick` chooses, what is there. */
function mutilate(value: unknown, pick: number, by: unknown): unknown {
  const places: [Record<string, unknown>, string][] = [];
  const walk = (one: unknown): void => {
    if (typeof one !== "object" || one === null) return;
    for (const key of Object.keys(one)) {
      places.push([one as Record<string, unknown>, key]);
      walk((one as Record<string, unknown>)[key]);
    }
  };
  walk(value);
  const place = places[pick % Math.max(1, places.length)];
  if (place === undefined) return by;
  const [parent, key] = place;
  if (by === undefined) delete parent[key];
  else parent[key] = by;
  return value;
}

const damage = fc.record({
  status: fc.option(fc.constantFrom(200, 201, 202, 204, 302, 408, 409, 500, 502, 503, 504, 520, 599)),
  pick: fc.nat(60),
  by: fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined }),
  cut: fc.option(fc.nat(400)),
});

describe.each(Object.entries(services))("%s", (_, service) => {
  test("a payment that was made is never failed, whatever is answered", async () => {
    const world = createWorld({ ...service.sim, balanceMsat: 10_000_000_000n });
    const server = await service.fake(world);
    const wallet = service.wallet(server.url);
    await fc.assert(
      fc.asyncProperty(damage, async ({ status, pick, by, cut }) => {
        server.garble = (answer): Answer => {
          const body = JSON.stringify(mutilate(JSON.parse(answer.body), pick, by));
          return { ...answer, status: status ?? answer.status, body: cut === null ? body : body.slice(0, cut) };
        };
        const invoice = world.payee.invoice({ amountMsat: 10_000n });
        const result = await wallet.pay({ ...requestOf(invoice), deadline: Date.now() + 5_000 });
        expect(world.payee.find(invoice.paymentHash)?.state).toBe("settled");
        expect(["settled", "in_flight", "unknown"]).toContain(result.status);
        if (result.status !== "settled") return;
        if (result.preimage !== null) expect(result.preimage).toMatch(/^[0-9a-f]{64}$/);
        if (result.feeMsat !== null) expect(result.feeMsat >= 0n).toBe(true);
      }),
      { numRuns: 150 },
    );
    await server.close();
  });
});
