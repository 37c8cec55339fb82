/** A real relay (nostr-relay) on loopback, with events in memory, that goes wrong on demand. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { EventRepository, type Event, type Filter } from "@nostr-relay/common";
import { NostrRelay } from "@nostr-relay/core";
import { WebSocketServer, type WebSocket } from "ws";

/** Keeps what may be kept; a newer info event takes the place of the older one. */
class Memory extends EventRepository {
  events: Event[] = [];

  isSearchSupported(): boolean {
    return false;
  }

  upsert(event: Event): { isDuplicate: boolean } {
    if (this.events.some(({ id }) => id === event.id)) return { isDuplicate: true };
    if (event.kind === 13_194) this.events = this.events.filter(({ kind, pubkey }) => kind !== event.kind || pubkey !== event.pubkey);
    this.events.push(event);
    return { isDuplicate: false };
  }

  find(filter: Filter): Event[] {
    return this.events.filter(
      (event) =>
        (filter.ids?.includes(event.id) ?? true) &&
        (filter.kinds?.includes(event.kind) ?? true) &&
        (filter.authors?.includes(event.pubkey) ?? true) &&
        (filter["#e"]?.every((id) => event.tags.some(([name, value]) => name === "e" && value === id)) ?? true),
    );
  }

  async destroy(): Promise<void> {}
}

export interface Relay {
  readonly url: string;
  /** EVENT messages that arrived, of any client. */
  readonly published: Event[];
  readonly memory: Memory;
  /** Looks at a message of a client first; what it answers is said in the relay's place, `"drop"` swallows it. */
  intercept: ((message: unknown[], socket: WebSocket) => "drop" | undefined) | undefined;
  /** Handles a message that was swallowed. */
  handle(message: unknown[], socket: WebSocket): void;
  offline(gone: boolean): Promise<void>;
  /** An event straight to every client, as a relay that makes things up. */
  forge(subscriptionOf: (id: string) => unknown[]): void;
  close(): Promise<void>;
}

export async function startRelay(): Promise<Relay> {
  const memory = new Memory();
  const published: Event[] = [];
  const subscriptions = new Map<WebSocket, Set<string>>();
  let core = new NostrRelay(memory);
  let server: WebSocketServer | undefined;
  let port = 0;
  const open = async (): Promise<void> => {
    core = new NostrRelay(memory);
    server = new WebSocketServer({ port, host: "127.0.0.1" });
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
    server.on("connection", (socket) => {
      core.handleConnection(socket as never, "127.0.0.1");
      subscriptions.set(socket, new Set());
      socket.on("error", () => {});
      socket.on("close", () => {
        core.handleDisconnect(socket as never);
        subscriptions.delete(socket);
      });
      socket.on("message", (data: Buffer) => {
        const message = JSON.parse(data.toString()) as unknown[];
        if (message[0] === "EVENT") published.push(message[1] as Event);
        if (message[0] === "REQ") subscriptions.get(socket)?.add(message[1] as string);
        if (relay.intercept?.(message, socket) === "drop") return;
        void core.handleMessage(socket as never, message as never);
      });
    });
  };
  const shut = async (): Promise<void> => {
    const closing = server;
    if (closing === undefined) return;
    server = undefined;
    for (const socket of closing.clients) socket.terminate();
    await new Promise((closed) => closing.close(closed));
    await core.destroy();
  };
  await open();
  const relay: Relay = {
    url: `ws://127.0.0.1:${port}`,
    published,
    memory,
    intercept: undefined,
    handle: (message, socket) => void core.handleMessage(socket as never, message as never),
    offline: (gone) => (gone ? shut() : open()),
    forge(make) {
      for (const [socket, ids] of subscriptions) for (const id of ids) socket.send(JSON.stringify(make(id)));
    },
    close: shut,
  };
  return relay;
}
