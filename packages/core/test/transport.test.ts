import { setGlobalDispatcher, getGlobalDispatcher, MockAgent } from "undici";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { guardedConnector } from "../src/transport/connector.ts";
import { createGuardedFetch, requireAgent } from "../src/transport/guarded-fetch.ts";
import { guardedFetch, type GuardedFetchOptions } from "../src/transport/index.ts";
import { readRules } from "../src/transport/rules.ts";
import { canary, httpServer, internetAt, settle, tlsServer } from "./transport-servers.ts";

const PUBLIC = "93.184.215.14";

function open(options: GuardedFetchOptions): ReturnType<typeof guardedFetch> {
  const fetch = guardedFetch(options);
  onTestFinished(() => fetch.close());
  return fetch;
}

describe("a public host", () => {
  test("is reached by https, at the address that was checked", async () => {
    const server = await tlsServer(["api.example.com"], (_request, response) => response.end("hello"));
    const internet = internetAt(server.port);
    const lookup = vi.fn(async (_hostname: string) => [{ address: PUBLIC }]);
    const fetch = createGuardedFetch({ ca: server.ca, lookup }, internet);
    onTestFinished(() => fetch.close());
    for (let call = 0; call < 3; call += 1) {
      const response = await fetch("https://api.example.com/a?b#c");
      expect(await response.text()).toBe("hello");
      expect(response.url).toBe("https://api.example.com/a?b");
    }
    expect(new Set(internet.opened)).toEqual(new Set([PUBLIC]));
    // One look-up for each connection, and none between the check and the connection.
    expect(lookup.mock.calls).toEqual(internet.opened.map(() => ["api.example.com"]));
  });

  test("needs a certificate that is trusted and names it", async () => {
    const server = await tlsServer(["api.example.com"], (_request, response) => response.end("hello"));
    const lookup = async (): Promise<{ address: string }[]> => [{ address: PUBLIC }];
    const other = createGuardedFetch({ ca: server.ca, lookup }, internetAt(server.port));
    const untrusting = createGuardedFetch({ lookup }, internetAt(server.port));
    onTestFinished(async () => {
      await other.close();
      await untrusting.close();
    });
    await expect(other("https://other.example.com/")).rejects.toThrow(TypeError);
    await expect(untrusting("https://api.example.com/")).rejects.toThrow(TypeError);
  });

  test("needs it also where the environment turns verification off", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    onTestFinished(() => void vi.unstubAllEnvs());
    const server = await tlsServer(["api.example.com"], (_request, response) => response.end("hello"));
    const fetch = createGuardedFetch({ lookup: async () => [{ address: PUBLIC }] }, internetAt(server.port));
    onTestFinished(() => fetch.close());
    await expect(fetch("https://api.example.com/")).rejects.toThrow(TypeError);
  });

  test.each([
    ["a private address", ["10.0.0.1"]],
    ["a public and a private address", [PUBLIC, "127.0.0.1"]],
    ["a public and an IPv6 loopback address", [PUBLIC, "::1"]],
    ["a metadata address", ["169.254.169.254"]],
    ["no address in any form", ["localhost"]],
  ])("that resolves to %s is blocked before anything is opened", async (_what, addresses) => {
    const internet = internetAt(1);
    const fetch = createGuardedFetch({ lookup: async () => addresses.map((address) => ({ address })) }, internet);
    onTestFinished(() => fetch.close());
    const error = await fetch("https://api.example.com/secret?key=s3cret").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "TransportError", code: "transport_blocked", paid: "no", retryable: false });
    expect(String(error)).toContain('allowHosts: ["api.example.com:443"]');
    expect(String(error)).not.toMatch(/s3cret|169\.254|10\.0\.0|127\.0/);
    expect(internet.opened).toEqual([]);
  });

  test("whose name is rebound between look-up and connect is not followed to the new address", async () => {
    const bird = await canary();
    const answers = [PUBLIC, "127.0.0.1"];
    const lookup = async (): Promise<{ address: string }[]> => [{ address: answers.shift() ?? "127.0.0.1" }];
    const internet = internetAt(bird.port, "127.0.0.1");
    const connect = guardedConnector({ rules: readRules([], undefined), timeoutMs: 1000, lookup, open: internet });
    const target = { hostname: "rebind.example.com", host: "rebind.example.com", protocol: "https:", port: "" };
    const attempt = (): Promise<Error | null> => new Promise((resolve) => connect(target, (...[error]: [Error, null] | [null, unknown]) => resolve(error)));
    // The socket could go to the pinned address only; this one claims to have ended up at 127.0.0.1 all the same.
    expect(await attempt()).toMatchObject({ code: "transport_blocked" });
    expect(internet.opened).toEqual([PUBLIC]);
    // The second connection looks up again, and gets the private address.
    expect(await attempt()).toMatchObject({ code: "transport_blocked" });
    expect(internet.opened).toEqual([PUBLIC]);
  });

  test.each(["93.184.215.15", "::1", "::ffff:127.0.0.1", undefined])("whose connection ends up at %s is blocked", async (remote) => {
    const server = await tlsServer(["api.example.com"], (_request, response) => response.end("hello"));
    let requests = 0;
    const internet = internetAt(server.port, remote ?? "");
    const fetch = createGuardedFetch({ ca: server.ca, lookup: async () => [{ address: PUBLIC }] }, async (target) => {
      requests += 1;
      return internet(target);
    });
    onTestFinished(() => fetch.close());
    await expect(fetch("https://api.example.com/")).rejects.toMatchObject({ code: "transport_blocked" });
    expect(requests).toBe(1);
  });

  test("that is this machine by its public address is blocked", async () => {
    const server = await tlsServer(["api.example.com"], (_request, response) => response.end("hello"));
    const internet = internetAt(server.port);
    const fetch = createGuardedFetch({ ca: server.ca, lookup: async () => [{ address: PUBLIC }] }, async (target) =>
      Object.defineProperty(await internet(target), "localAddress", { value: PUBLIC }),
    );
    onTestFinished(() => fetch.close());
    await expect(fetch("https://api.example.com/")).rejects.toMatchObject({ code: "transport_blocked" });
  });

  test.each([443, 1024, 8080, 8443, 9443, 65535])("may be asked at port %i", (port) => {
    expect(() => readRules([], undefined).check(new URL(`https://api.example.com:${port}/`))).not.toThrow();
  });

  test.each([1, 22, 25, 80, 465, 993, 1023, 3306, 5432, 6379, 6667, 8333, 9735, 11211])("may not be asked at port %i", (port) => {
    expect(() => readRules([], undefined).check(new URL(`https://api.example.com:${port}/`))).toThrow(/port/);
  });

  test("may be asked at the ports of allowPorts only, if there are any", () => {
    const rules = readRules([], [8443, 993]);
    for (const port of [8443, 993]) expect(() => rules.check(new URL(`https://api.example.com:${port}/`))).not.toThrow();
    for (const port of [443, 8080]) expect(() => rules.check(new URL(`https://api.example.com:${port}/`))).toThrow(/port/);
  });
});

describe("allowHosts", () => {
  test("opens what it names, and none of its siblings", async () => {
    const bird = await canary();
    const named = await httpServer((_request, response) => response.end("named"));
    const fetch = open({ allowHosts: [`localhost:${named.port}`] });
    const response = await fetch(`http://localhost:${named.port}/x`);
    expect([response.status, await response.text(), response.url]).toEqual([200, "named", `http://localhost:${named.port}/x`]);
    const siblings = [
      `http://localhost:${bird.port}/`, `http://127.0.0.1:${named.port}/`, `http://[::1]:${named.port}/`, `http://localhost.:${named.port}/`,
      `http://a.localhost:${named.port}/`, `http://127.1:${named.port}/`, "http://localhost/", "https://localhost/", `http://user@localhost:${named.port}/`,
      `ws://localhost:${named.port}/`, `http://localhost.example.com:${named.port}/`,
    ];
    for (const url of siblings) await expect(fetch(url), url).rejects.toMatchObject({ code: "transport_blocked" });
    expect(await settle(bird)).toBe(0);
  });

  test("opens https too, with its certificate checked", async () => {
    const server = await tlsServer(["localhost"], (_request, response) => response.end("tls"));
    const url = `https://localhost:${server.port}/`;
    expect(await (await open({ allowHosts: [`localhost:${server.port}`], ca: [server.ca] })(url)).text()).toBe("tls");
    await expect(open({ allowHosts: [`localhost:${server.port}`] })(url)).rejects.toThrow(TypeError);
  });

  test("without a port means https on 443 and http on 80", () => {
    const rules = readRules(["dev.example.test"], undefined);
    for (const url of ["https://dev.example.test/", "http://dev.example.test/"]) expect(() => rules.check(new URL(url))).not.toThrow();
    for (const url of ["https://dev.example.test:80/", "http://dev.example.test:443/", "http://dev.example.test:8080/"]) {
      expect(() => rules.check(new URL(url))).toThrow(/Blocked/);
    }
  });

  test.each(["127.0.0.1:80", "[::1]:80", "::1", "LOCALHOST:80", "10.0.0.5", "169.254.1.2:80", "bücher.example"])("takes %s", (entry) => {
    const rules = readRules([entry], undefined);
    const url = new URL(`http://${entry === "::1" ? "[::1]" : entry}`);
    expect(() => rules.check(url)).not.toThrow();
  });

  test.each([
    "", " ", "*", "*.example.com", "http://localhost", "localhost:", "localhost:0", "localhost:65536", "localhost:8402/", "a b", "user@localhost", "localhost:80:80",
    "0.0.0.0:80", "[::]:80", "224.0.0.1", "255.255.255.255", "[fe80::1%25eth0]", "1.2.3.4.5", 8402, null,
  ])("refuses %j at construction", (entry) => {
    expect(() => guardedFetch({ allowHosts: [entry as string] })).toThrow(expect.objectContaining({ code: "invalid_options", message: expect.stringContaining("allowHosts") }));
  });

  test("does not let a name lead to metadata or link-local addresses", async () => {
    for (const address of ["169.254.169.254", "fe80::1", "168.63.129.16", "0.0.0.0", "224.0.0.1", "::"]) {
      const fetch = open({ allowHosts: ["dev.example.com:8402"], lookup: async () => [{ address }] });
      await expect(fetch("http://dev.example.com:8402/"), address).rejects.toMatchObject({ code: "transport_blocked" });
    }
  });

  test("opens a named host at whichever private address it has", async () => {
    const server = await httpServer((_request, response) => response.end("dev"));
    const fetch = open({ allowHosts: [`dev.example.com:${server.port}`], lookup: async () => [{ address: "127.0.0.1" }] });
    expect(await (await fetch(`http://dev.example.com:${server.port}/`)).text()).toBe("dev");
    await expect(fetch(`https://other.example.com:${server.port}/`)).rejects.toMatchObject({ code: "transport_blocked" });
  });
});

describe("options", () => {
  test.each([
    ["maxBodyBytes", -1], ["maxBodyBytes", Number.NaN], ["maxHeaderBytes", 0], ["firstByteTimeoutMs", 0.5], ["totalTimeoutMs", Infinity], ["idleTimeoutMs", "1"],
    ["allowPorts", [0]], ["allowPorts", 443], ["allowHosts", "localhost"], ["lookup", "8.8.8.8"], ["ca", 5], ["rejectUnauthorized", false], ["proxy", "http://p"],
  ])("%s: %j is refused", (name, value) => {
    expect(() => guardedFetch({ [name]: value })).toThrow(expect.objectContaining({ code: "invalid_options", message: expect.stringContaining(name) }));
  });
});

describe("proxies", () => {
  test("in the environment and in undici's global dispatcher are not used", async () => {
    const bird = await canary();
    const server = await httpServer((_request, response) => response.end("direct"));
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"]) vi.stubEnv(name, `http://127.0.0.1:${bird.port}`);
    vi.stubEnv("NODE_USE_ENV_PROXY", "1");
    const before = getGlobalDispatcher();
    const closed = new MockAgent();
    closed.disableNetConnect();
    setGlobalDispatcher(closed);
    onTestFinished(() => {
      vi.unstubAllEnvs();
      setGlobalDispatcher(before);
    });
    expect(await (await open({ allowHosts: [server.host] })(server.url)).text()).toBe("direct");
    await expect(open({})(`https://127.0.0.1:${bird.port}/`)).rejects.toMatchObject({ code: "transport_blocked" });
    expect(await settle(bird)).toBe(0);
  });

  test("and a dispatcher in init is not used", async () => {
    const closed = new MockAgent();
    closed.disableNetConnect();
    const server = await httpServer((_request, response) => response.end("direct"));
    const init = { dispatcher: closed } as unknown as RequestInit;
    expect(await (await open({ allowHosts: [server.host] })(server.url, init)).text()).toBe("direct");
  });
});

test("a runtime whose undici ignores the agent is refused", () => {
  expect(() => requireAgent({ ...process.versions, bun: "1.4.5" })).toThrow(expect.objectContaining({ code: "transport_failed" }));
  expect(() => requireAgent(process.versions)).not.toThrow();
});

test("close ends the connections", async () => {
  const server = await httpServer((_request, response) => response.end("x"));
  await using fetch = guardedFetch({ allowHosts: [server.host] });
  await (await fetch(server.url)).text();
  await fetch.close();
  await expect(fetch(server.url)).rejects.toThrow(TypeError);
});
