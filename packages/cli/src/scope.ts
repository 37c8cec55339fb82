/** What is closed at the end of a block, the newest first. (The platform's own stack of this kind came with Node 24.) */
export class Scope implements AsyncDisposable {
  readonly #ends: (() => unknown)[] = [];

  defer(end: () => unknown): void {
    this.#ends.push(end);
  }

  use<T extends { close(): unknown }>(resource: T): T {
    this.defer(() => resource.close());
    return resource;
  }

  /** A close that fails changes nothing about what was done before it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) {
      try {
        await end();
      } catch {
        // What it held ends with the process.
      }
    }
  }
}
