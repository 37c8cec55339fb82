import { describe, expect, onTestFinished, test } from "vitest";
import { isPublicAddress } from "../src/transport/address.ts";
import { createGuardedFetch } from "../src/transport/guarded-fetch.ts";
import { guardedFetch } from "../src/transport/index.ts";
import { canary, httpServer, internetAt, settle, tlsServer } from "./transport-servers.ts";

const PUBLIC = "93.184.215.14";

/** Spellings of addresses and names that are, or lead, to this machine, its networks or its platform. */
const LITERALS = [
  // 127.0.0.1, as C's inet_aton and browsers read it
  "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.1.", "2130706433", "2130706433.", "0x7f000001", "0X7F000001", "0x7F.1", "0x7f.0x0.0x0.0x1", "0x7f.0.0.1",
  "017700000001", "0177.1", "0177.0.0.1", "0177.0.0.01", "0177.0000.0000.0001", "00000177.0.0.1", "0x0000007f.0.0.0x01", "127.0x1", "127.0.0x0.1", "0x7f.000.0.1",
  "127.000.000.001", "127.0.0.01", "127.0.0.0x1", "0177.0x0.0.1", "127.65530", "127.255.255.254", "127.127.127.127", "127.0.0.2", "127.16777215", "0x7fffffff",
  // percent and full-width forms, which URL parsing undoes
  "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "127.0.0.%31", "%6c%6f%63%61%6c%68%6f%73%74", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1",
  "０ｘ７ｆ.1", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "loc\u00adalhost", "127.0.0.1\u200b", "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "𝟭𝟮𝟳.𝟬.𝟬.𝟭", "LOCALHOST", "LocalHost",
  // unspecified
  "0", "0.", "0.0.0.0", "0.0.0.0.", "0x0", "00", "0.0", "0.1", "0.0.0.1", "0x00000000", "%30", "000.000.000.000",
  // names
  "localhost", "localhost.", "localhost..", "a.localhost", "a.b.localhost", "a.localhost.", "localhost.localdomain", "printer.local", "printer.local.", "ip6-localhost",
  "ip6-loopback", "loopback", "broadcasthost", "metadata", "metadata.google.internal", "metadata.google.internal.", "metadata.goog.internal", "instance-data", "kubernetes",
  "kubernetes.default.svc.cluster.local", "host.docker.internal", "gateway.docker.internal", "router.home.arpa", "nas.lan", "wiki.corp", "x.intranet", "x.onion", "x.test",
  "api.home",
  // private, CGNAT, link-local, metadata, documentation, benchmark, multicast, broadcast, reserved
  "10.0.0.1", "10.1", "0xa.1", "012.1", "167772161", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1", "0xc0a80001", "3232235521", "0300.0250.1", "100.64.0.1",
  "100.100.100.200", "100.127.255.255", "169.254.169.254", "169.254.169.254.", "169.254.43518", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "0xA9.254.0251.254",
  "169.254.170.2", "169.254.1.1", "168.63.129.16", "192.0.0.192", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "192.88.99.1",
  "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "4294967295", "0xffffffff",
  // IPv6
  "[::1]", "[::1%25lo]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[0::1]", "[::0:1]", "[::0001]", "[::127.0.0.1]", "[::7f00:1]", "[0::127.0.0.1]",
  "[::ffff:127.0.0.1]", "[::FFFF:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:7f00:0001]", "[0:0:0:0:0:ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "[::ffff:0.0.0.0]", "[::ffff:0:0]",
  "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::ffff:192.168.0.1]", "[::ffff:100.64.0.1]", "[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]",
  "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:7f00:1::1]",
  "[2002:a9fe:a9fe::]", "[2002:a00:1::1]", "[2002:c0a8:1::1]", "[2001:0:7f00:1::]", "[2001::1]", "[2001:0:53aa:64c:0:0:80ff:fffe]", "[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%eth0]",
  "[febf::1]", "[fec0::1]", "[fc00::1]", "[fd00::1]", "[fd00:ec2::254]", "[fd20:ce::254]", "[fdff:ffff::1]", "[ff02::1]", "[ff0e::1]", "[ff00::]", "[100::1]", "[2001:db8::1]",
  "[3fff::1]", "[2001:2::1]", "[2001:10::1]", "[2001:20::1]", "[5f00::1]", "[4000::1]", "[::2]", "[1::1]", "[::ffff:127.1]", "[::ffff:2130706433]", "[::1.]", "[::1",
  "[v1.127]", "[0x0::1]", "[::ffff:0177.0.0.1]",
];

/** URLs that are wrong by more than their host. `PORT` is the canary's. */
const WHOLE = [
  "https://user@127.0.0.1:PORT/", "https://user:pass@localhost:PORT/", "https://api.example.com@127.0.0.1:PORT/", "https://api.example.com:443@127.0.0.1:PORT/",
  "https://127.0.0.1:PORT@api.example.com:22/", "https://api.example.com%40127.0.0.1:PORT/", "https://api.example.com\\@127.0.0.1:PORT/", "https://127.0.0.1:PORT\\@api.example.com/",
  "https://127.0.0.1:PORT#@api.example.com/", "https://127.0.0.1:PORT?@api.example.com/", "https:127.0.0.1:PORT/", "https:/127.0.0.1:PORT/", "https:///127.0.0.1:PORT/",
  "https:////127.0.0.1:PORT/", "https:\\\\127.0.0.1:PORT\\", "\thttps://127.0.0.1:PORT/", "ht\ntps://127.0.0.1:PORT/", "https://127.0.\n0.1:PORT/", " https://127.0.0.1:PORT/ ",
  "HTTPS://127.0.0.1:PORT/", "hTTp://127.0.0.1:PORT/", "//127.0.0.1:PORT/", "127.0.0.1:PORT", "/", "", " ", "https://", "https:", "http:", "https://:PORT/", "https://@/", "https://./",
  "https://../", "https://127.0.0.1:0PORT/", "https://127.0.0.1: PORT/", "https://127.0.0.1:PORT:443/", "https://127.0.0.1:99999/", "https://127.0.0.1\u0000.example.com:PORT/",
  "https://127.0.0.1%00.example.com:PORT/", "https://api.example.com:PORT:@127.0.0.1/", "https://[::1]:PORT@127.0.0.1:PORT/", "https://1.2.3.4.5:PORT/", "https://256.0.0.1:PORT/",
  "https://-:PORT/", "https://127.0.0.1..:PORT/", "https://.127.0.0.1:PORT/", "https://127..0.1:PORT/",
  "file:///etc/passwd", "file://127.0.0.1:PORT/", "ftp://127.0.0.1:PORT/", "gopher://127.0.0.1:PORT/_GET", "data:text/plain,x", "blob:http://127.0.0.1:PORT/x", "ws://127.0.0.1:PORT/",
  "wss://127.0.0.1:PORT/", "about:blank", "javascript:1", "unix:/run/docker.sock", "http+unix://%2frun%2fdocker.sock/", "dict://127.0.0.1:PORT/", "ldap://127.0.0.1:PORT/", "jar:https://127.0.0.1:PORT!/",
  "view-source:http://127.0.0.1:PORT/", "https+http://127.0.0.1:PORT/", "node:fs", "h2c://127.0.0.1:PORT/",
];

/** Public-looking names, by what DNS says of them. */
const ZONE: Record<string, readonly string[]> = {
  "loop.example.com": ["127.0.0.1"], "loop6.example.com": ["::1"], "mapped.example.com": ["::ffff:127.0.0.1"], "any.example.com": ["0.0.0.0"], "any6.example.com": ["::"],
  "mixed.example.com": [PUBLIC, "127.0.0.1"], "mixed6.example.com": [PUBLIC, "::1"], "first.example.com": ["127.0.0.1", PUBLIC], "meta.example.com": ["169.254.169.254"],
  "lan.example.com": ["192.168.1.1"], "cgnat.example.com": ["100.64.1.1"], "ula.example.com": ["fd00::1"], "link.example.com": ["fe80::1%lo"], "nat64.example.com": ["64:ff9b::7f00:1"],
  "sixtofour.example.com": ["2002:7f00:1::1"], "compat.example.com": ["::7f00:1"], "multicast.example.com": ["224.0.0.1"], "octal.example.com": ["0177.0.0.1"],
  "short.example.com": ["127.1"], "decimal.example.com": ["2130706433"], "name.example.com": ["localhost"], "nothing.example.com": [], "blank.example.com": [""],
};
const lookup = async (hostname: string): Promise<{ address: string }[]> => (ZONE[hostname.replace(/\.$/, "")] ?? []).map((address) => ({ address }));

/** Whether `url` means a public name that the zone knows no address of: a failed look-up, not a blocked request. */
function isNowhere(url: string): boolean {
  const { protocol, hostname, username } = URL.parse(url) ?? {};
  return protocol === "https:" && username === "" && /^(api|nothing)\.example\.com\.?$/.test(hostname ?? "");
}

/** Every spelling under https and http, with the canary's port and without. */
function corpus(port: number): string[] {
  const hosts = [...LITERALS, ...Object.keys(ZONE), ...Object.keys(ZONE).map((name) => `${name}.`), ...Object.keys(ZONE).map((name) => name.toUpperCase())];
  return [
    ...hosts.flatMap((host) => [`https://${host}:${port}/`, `http://${host}:${port}/`, `https://${host}/`, `http://${host}/`]),
    ...WHOLE.map((url) => url.replaceAll("PORT", String(port))),
  ];
}

describe("the canary on loopback", () => {
  test("is reached by many of these spellings without the guard", async () => {
    const bird = await canary();
    const reached = await Promise.all(
      LITERALS.filter((host) => URL.canParse(`http://${host}/`) && /^(\[::(1|ffff:7f.*)?\]|0\.0\.0\.0|127\.0\.0\.1|localhost)$/.test(new URL(`http://${host}/`).hostname)).map(
        async (host) => (await fetch(`http://${host}:${bird.port}/`)).ok,
      ),
    );
    expect(reached.length).toBeGreaterThan(60);
    expect(reached).not.toContain(false);
  });

  test("is reached by none of them with it", async () => {
    const bird = await canary();
    const guarded = guardedFetch({ lookup });
    onTestFinished(() => guarded.close());
    const urls = corpus(bird.port);
    expect(urls.length).toBeGreaterThan(1000);
    for (const url of urls) {
      const error = await guarded(url).then(() => undefined, (thrown: unknown) => thrown);
      expect(error, JSON.stringify(url)).toMatchObject(isNowhere(url) ? { name: "TypeError" } : { code: "transport_blocked", paid: "no" });
    }
    expect(await settle(bird)).toBe(0);
  });

  test("is reached by none of them as a URL object, as a Request, or at the end of a system look-up", async () => {
    const bird = await canary();
    const guarded = guardedFetch();
    onTestFinished(() => guarded.close());
    for (const host of LITERALS) {
      const text = `https://${host}:${bird.port}/`;
      if (!URL.canParse(text)) continue;
      await expect(guarded(new URL(text)), text).rejects.toMatchObject({ code: "transport_blocked" });
      await expect(guarded(new Request(text)), text).rejects.toMatchObject({ code: "transport_blocked" });
    }
    expect(await settle(bird)).toBe(0);
  });

  test.each(["follow", "manual"] as const)("is reached by no redirect from an opened host (%s)", async (redirect) => {
    const bird = await canary();
    let target = "";
    const server = await httpServer((_request, response) => {
      response.writeHead(302, { location: encodeURI(decodeURI(target)) }).end();
    });
    const guarded = guardedFetch({ allowHosts: [server.host], lookup });
    onTestFinished(() => guarded.close());
    const urls = corpus(bird.port).filter((url) => URL.canParse(url) && /^\S/.test(url) && !/[\t\n\0]/.test(url) && !isNowhere(url));
    expect(urls.length).toBeGreaterThan(600);
    for (const url of urls) {
      target = url;
      if (redirect === "follow") {
        await expect(guarded(server.url), JSON.stringify(url)).rejects.toMatchObject({ code: "transport_blocked" });
      } else {
        const response = await guarded(server.url, { redirect });
        expect(response.status).toBe(302);
        const location = response.headers.get("location") ?? "";
        await expect(guarded(URL.parse(location, response.url)?.href ?? location, { redirect }), JSON.stringify(url)).rejects.toMatchObject({ code: "transport_blocked" });
      }
    }
    expect(await settle(bird)).toBe(0);
  });

  test.each([301, 302, 303, 307, 308])("is not reached by a chain of %i from the public internet", async (status) => {
    const bird = await canary();
    const ends = [`https://127.0.0.1:${bird.port}/`, `http://localhost:${bird.port}/`, `https://loop.example.com:${bird.port}/`, `//[::ffff:7f00:1]:${bird.port}/`, `//2130706433:${bird.port}`];
    for (const end of ends) {
      const hops = ["/second", "https://other.example.com/third", "?fourth", end];
      const server = await tlsServer(["api.example.com", "other.example.com"], (_request, response) => {
        response.writeHead(status, { location: hops.shift() ?? "/end" }).end();
      });
      const guarded = createGuardedFetch({ ca: server.ca, lookup: async (name) => (name === "loop.example.com" ? lookup(name) : [{ address: PUBLIC }]) }, internetAt(server.port));
      await expect(guarded("https://api.example.com/first", { method: "POST", body: "x" }), end).rejects.toMatchObject({ code: "transport_blocked" });
      expect(hops).toEqual([]);
      await guarded.close();
    }
    expect(await settle(bird)).toBe(0);
  });

  test("is not reached by a public host that redirects to one that allowHosts opens for plain http", async () => {
    const bird = await canary();
    const server = await tlsServer(["api.example.com"], (_request, response) => response.writeHead(302, { location: `http://localhost:${bird.port}/` }).end());
    const guarded = createGuardedFetch({ ca: server.ca, allowHosts: [`localhost:${bird.port}`], lookup: async () => [{ address: PUBLIC }] }, internetAt(server.port));
    onTestFinished(() => guarded.close());
    await expect(guarded("https://api.example.com/")).rejects.toMatchObject({ code: "transport_blocked", message: expect.stringContaining("plain http") });
    expect(await settle(bird)).toBe(0);
  });
});

test("messages never repeat credentials, path or query", async () => {
  const guarded = guardedFetch({ lookup });
  onTestFinished(() => guarded.close());
  for (const url of ["https://u5er:s3cret@api.example.com/", "http://api.example.com/s3cret?s3cret#s3cret", "https://loop.example.com/s3cret", "https://s3cret:x:y/", "s3cret"]) {
    const error = await guarded(url).catch((thrown: Error) => thrown);
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/s3cret|u5er|127\.0/);
  }
});

describe("addresses", () => {
  test.each(["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "11.0.0.1", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1", "64:ff9b::101:101"])("%s is public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test("no special spelling is", () => {
    for (const host of LITERALS) expect(isPublicAddress(host.replace(/^\[|\]$/g, "")), host).toBe(false);
    for (const addresses of Object.values(ZONE)) for (const address of addresses) expect(isPublicAddress(address), address).toBe(address === PUBLIC);
  });
});
