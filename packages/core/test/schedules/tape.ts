/**
 * The choices of one schedule: drawn from a seed and written down, or played back. A played-back tape that is too short
 * goes on with 0, and 0 is the simplest choice everywhere; so a shorter or smaller tape is a simpler schedule, and
 * fast-check can shrink one.
 */
export class Tape {
  readonly values: number[] = [];
  readonly #replay: readonly number[] | undefined;
  #state: number;

  constructor(source: number | readonly number[]) {
    this.#replay = typeof source === "number" ? undefined : source;
    this.#state = typeof source === "number" ? source >>> 0 : 0;
  }

  /** A whole number from 0 to `n - 1`. */
  pick(n: number): number {
    const raw = this.#replay === undefined ? this.#next() : (this.#replay[this.values.length] ?? 0);
    const value = raw % n;
    this.values.push(value);
    return value;
  }

  /** One of them; the first is the simplest. */
  of<T>(...choices: readonly T[]): T {
    return choices[this.pick(choices.length)] as T;
  }

  /** True once in `n`. */
  one(n: number): boolean {
    return this.pick(n) === n - 1;
  }

  /** Weyl sequence, mixed (the finalizer of MurmurHash3): passes far more than is asked of it here. */
  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mix(this.#state);
  }
}

/** 32 bits to 32 well-mixed bits. */
export function mix(value: number): number {
  let bits = value >>> 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
