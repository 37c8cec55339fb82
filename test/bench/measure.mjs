/** How things are timed: in turns within one run, again and again, and the median of the ratios. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `count` calls, at most `width` at a time: microseconds of wall clock and of this process's CPU, per call. */
async function batch(call, count, width) {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  const wall = ((performance.now() - begin) * 1000) / count;
  const { user, system } = process.cpuUsage(cpu);
  return { wall, cpu: (user + system) / count };
}

/**
 * Runs `calls` (a map of names to functions) in turns, the baseline first; every second round in reverse order, so that
 * nobody always runs in the other's wake.
 *
 * @returns for each name its medians: wall and CPU per call (µs), its throughput against the baseline of the same round,
 * and the CPU that it adds to the baseline of the same round.
 */
export async function compare(calls, { rounds, count, width = 1, warmUp = count, before = async () => {} }) {
  const names = Object.keys(calls);
  const [baseline] = names;
  for (const name of names) {
    await before(warmUp);
    await batch(calls[name], warmUp, width);
  }
  const samples = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      await before(count);
      globalThis.gc?.();
      samples.get(name).push(await batch(calls[name], count, width));
    }
  }
  const base = samples.get(baseline);
  return Object.fromEntries(
    names.map((name) => {
      const own = samples.get(name);
      return [
        name,
        {
          wallMicros: median(own.map(({ wall }) => wall)),
          cpuMicros: median(own.map(({ cpu }) => cpu)),
          throughput: median(own.map(({ wall }, round) => base[round].wall / wall)),
          cpuAdded: median(own.map(({ cpu }, round) => cpu - base[round].cpu)),
        },
      ];
    }),
  );
}

export const round = (value, digits = 2) => Number(value.toFixed(digits));
