import { createHook, type HookCallbacks } from "node:async_hooks";

/**
 * Work that Node does on other threads: hashes of `crypto.subtle`, files. It ends at a time of its own, which may be
 * many turns of the event loop later; time must not move on before.
 */
const running = new Set<number>();
let watching = false;

/** Starts counting; once is enough. */
export function watchBackground(): void {
  if (watching) return;
  watching = true;
  const callbacks: HookCallbacks & { trackPromises: boolean } = {
    // Promises are not looked at; following them would cost a lot (Node 24 heeds this).
    trackPromises: false,
    init(id, type) {
      if (/(?<!^HTTPCLIENT)REQUEST$|^FSREQ/.test(type)) running.add(id);
    },
    before: (id) => void running.delete(id),
    destroy: (id) => void running.delete(id),
  };
  createHook(callbacks).enable();
}

/** How much of it is under way. */
export function backgroundWork(): number {
  return running.size;
}
