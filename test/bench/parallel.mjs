/** Rows about many calls at once: how often they pay, how long it takes, and whether a budget holds. */
import { round } from "./measure.mjs";
import { alby, createWallet, l402Axios, ours, PRICE_SATS, read } from "./world.mjs";

const CALLS = 100;

/** Makes `CALLS` calls at once; the seconds they took, and how many brought the goods. */
async function rush(call) {
  const begin = performance.now();
  const results = await Promise.allSettled(Array.from({ length: CALLS }, (_, index) => call(index)));
  const seconds = (performance.now() - begin) / 1000;
  const errors = results.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  return { seconds, served: CALLS - errors.length, errors };
}

/** 100 calls at once to a service whose credential opens all of it. */
export async function service(server) {
  const payments = {};
  const contestants = {
    ours: (wallet) => {
      const client = ours(wallet);
      return async (url) => read(await client.fetch(url));
    },
    alby: (wallet) => {
      const call = alby(wallet);
      return async (url) => read(await call(url));
    },
    // The best that it can do: one credential for the whole host.
    l402: (wallet) => l402Axios(wallet, "hostname-only"),
  };
  for (const [name, make] of Object.entries(contestants)) {
    await server.stock(CALLS);
    const wallet = createWallet(server, 20);
    const call = make(wallet);
    const { served, errors } = await rush((index) => call(`${server.origin}/service/${name}-${index}`));
    if (served !== CALLS) throw errors[0];
    payments[name] = wallet.paid.length;
  }
  return [
    {
      id: "service",
      what: `${CALLS} calls at once to one aperture-style service, payments`,
      baseline: `${CALLS} calls, 20 ms wallet`,
      measured: payments.ours,
      unit: "payments",
      bar: "1",
      ok: payments.ours === 1,
      others: { alby: payments.alby, l402: payments.l402 },
    },
  ];
}

/** 100 calls at once where each credential opens one path once: nothing can be shared. */
export async function singleUse(server, { quick }) {
  const delayMs = quick ? 200 : 1_000;
  const bar = (2.5 * delayMs) / 1_000;
  const run = async (name, affordable, make) => {
    const before = await server.stock(10 * CALLS); // each try of a used credential takes a challenge too
    const wallet = createWallet(server, delayMs);
    const call = make(wallet, affordable * PRICE_SATS);
    const result = await rush((index) => call(`${server.origin}/once/${name}-${affordable}-${index}`));
    const requests = (await server.stock(0)) - before;
    return { ...result, requests, most: wallet.most, spentSats: wallet.paid.length * PRICE_SATS, budgetSats: affordable * PRICE_SATS };
  };
  const byOurs = (wallet, budgetSats) => {
    const client = ours(wallet, { budgetSats, paymentConcurrency: 50 });
    return async (url) => read(await client.fetch(url));
  };
  const whole = await run("ours", CALLS, byOurs);
  const part = await run("ours", 60, byOurs);
  const refused = part.errors.filter(({ code }) => code === "budget_exceeded").length;
  const byAlby = await run("alby", 60, (wallet) => {
    const call = alby(wallet);
    return async (url) => read(await call(url));
  });
  const byL402 = await run("l402", 60, (wallet) => l402Axios(wallet));
  return [
    {
      id: "single-use",
      what: `${CALLS} calls at once, single-use credentials, ${delayMs / 1_000} s wallet, 50 at a time`,
      baseline: `${(CALLS / 50) * (delayMs / 1_000)} s of wallet`,
      measured: round(whole.seconds),
      unit: "s",
      bar: `<= ${bar}`,
      ok: whole.seconds <= bar && whole.served === CALLS && whole.spentSats <= whole.budgetSats,
      others: { alby: round(byAlby.seconds), l402: round(byL402.seconds) },
      note: `served ${whole.served}, at most ${whole.most} with the wallet, ${whole.requests} requests; the others put all ${byAlby.most} into the wallet at once`,
    },
    {
      id: "budget",
      what: `the same with a budget for 60 of them, sats spent of ${part.budgetSats}`,
      baseline: `${part.budgetSats} sats`,
      measured: part.spentSats,
      unit: "sats",
      bar: `= ${part.budgetSats}`,
      ok: part.spentSats === part.budgetSats && part.served === 60 && refused === CALLS - 60,
      others: { alby: byAlby.spentSats, l402: byL402.spentSats },
      note: `ours in ${round(part.seconds)} s, ${refused} calls refused; the others have no budget`,
    },
  ];
}
