/** An attacker's list: every way to write a place on this machine or its networks, against servers that count connections. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, isIPv6, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { generate } from "selfsigned";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { L402Client } from "../src/client.ts";
import { HOOKS } from "../src/request.ts";
import { fetchTool, quoteTool, type ToolOptions } from "../src/tools/index.ts";
import { isPublicAddress } from "../src/transport/address.ts";
import { createGuardedFetch } from "../src/transport/guarded-fetch.ts";
import { guardedFetch, type GuardedFetchOptions } from "../src/transport/index.ts";
import { httpServer, rawServer, tlsServer } from "./transport-servers.ts";

const PUBLIC = "93.184.215.14";

/** HTTP and HTTPS servers on 127.0.0.1 and on ::1, each pair on one port, which count TCP connections. */
const bird = { http: 0, https: 0, hits: 0, servers: [] as Server[] };

beforeAll(async () => {
  const pems = await generate([{ name: "commonName", value: "localhost" }], { keyType: "ec" });
  const answer: RequestListener = (_request, response) => response.end("the bird");
  const pair = async (make: () => Server): Promise<number> => {
    for (;;) {
      const [four, six] = [make(), make()];
      four.listen(0, "127.0.0.1");
      await once(four, "listening");
      const { port } = four.address() as AddressInfo;
      six.listen(port, "::1");
      const taken = await Promise.race([once(six, "listening").then(() => false), once(six, "error").then(() => true)]);
      if (taken || port < 1024) {
        four.close();
        continue;
      }
      bird.servers.push(four, six);
      return port;
    }
  };
  bird.http = await pair(() => createHttpServer(answer));
  bird.https = await pair(() => createHttpsServer({ key: pems.private, cert: pems.cert }, answer));
  for (const server of bird.servers) server.on("connection", () => (bird.hits += 1));
});
beforeEach(() => void (bird.hits = 0));
afterAll(() => {
  for (const server of bird.servers) server.close();
});

/** Connections to the bird. What was begun before a connection of ours is counted before it. */
async function hits(): Promise<number> {
  for (const port of [bird.http, bird.https]) {
    for (const host of ["127.0.0.1", "::1"]) {
      const before = bird.hits;
      const socket = connect(port, host);
      await once(socket, "connect");
      while (bird.hits === before) await new Promise((resolve) => setImmediate(resolve));
      bird.hits -= 1;
      socket.destroy();
    }
  }
  return bird.hits;
}

type Bytes = readonly [number, number, number, number];

const FULL_WIDTH = (plain: string): string => plain.replaceAll(/[!-~]/g, (char) => String.fromCodePoint(char.charCodeAt(0) + 0xfee0));
const MATHS = (plain: string): string => plain.replaceAll(/\d/g, (digit) => String.fromCodePoint(0x1d7ec + Number(digit)));
const CIRCLED = (plain: string): string => plain.replaceAll(/\d/g, (digit) => (digit === "0" ? "⓪" : String.fromCodePoint(0x245f + Number(digit))));
const SUPER = (plain: string): string => plain.replaceAll(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".charAt(Number(digit)));
const PERCENT = (plain: string): string => plain.replaceAll(/./g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`);

/** An IPv4 address in the spellings that a URL parser, or a careless one, reads as it. */
function spelled([a, b, c, d]: Bytes): string[] {
  const whole = a * 2 ** 24 + b * 2 ** 16 + c * 256 + d;
  const plain = [a, b, c, d].join(".");
  const octal = (value: number): string => `0${value.toString(8)}`;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  return [
    plain, `${plain}.`, `${whole}`, `${whole}.`, hex(whole), hex(whole).toUpperCase(), octal(whole), `0x${whole.toString(16).padStart(16, "0")}`, `000000${octal(whole)}`,
    [a, b, c, d].map(octal).join("."), [a, b, c, d].map(hex).join("."), [a, b, c, d].map((byte) => `000${octal(byte)}`).join("."),
    // Zeros in front make a byte octal; only where that changes nothing is it still this address.
    ...([a, b, c, d].some((byte) => byte > 7 && byte < 100) ? [] : [[a, b, c, d].map((byte) => byte.toString().padStart(3, "0")).join(".")]), `${hex(a)}.${octal(b)}.${c}.${hex(d)}`,
    `${a}.${b * 2 ** 16 + c * 256 + d}`, `${a}.${b}.${c * 256 + d}`, `${octal(a)}.${hex(b * 2 ** 16 + c * 256 + d)}`, `${hex(a)}.${b}.${octal(c * 256 + d)}`,
    FULL_WIDTH(plain), MATHS(plain), CIRCLED(plain), SUPER(plain), FULL_WIDTH(`${whole}`), FULL_WIDTH(hex(whole)), CIRCLED(`${whole}`),
    plain.replaceAll(".", "。"), plain.replaceAll(".", "．"), plain.replaceAll(".", "｡"), plain.replaceAll(".", "%2E"), plain.replace(".", "%E3%80%82"),
    PERCENT(plain), PERCENT(`${whole}`), PERCENT(hex(whole)), `${plain}\u200b`, `\u2060${plain}`, plain.replace(".", "\u00ad."), `${plain}%E2%80%8B`,
  ];
}

/** An IPv4 address inside an IPv6 one, by every scheme there is. */
function embedded([a, b, c, d]: Bytes): string[] {
  const word = (high: number, low: number): string => (high * 256 + low).toString(16);
  const hex = `${word(a, b)}:${word(c, d)}`;
  const inverted = `${word(255 - a, 255 - b)}:${word(255 - c, 255 - d)}`;
  const dotted = [a, b, c, d].join(".");
  return [
    `::ffff:${dotted}`, `::ffff:${hex}`, `::FFFF:${hex.toUpperCase()}`, `0:0:0:0:0:ffff:${hex}`, `0000:0000:0000:0000:0000:ffff:${dotted}`, `0::ffff:${dotted}`, // mapped
    `::${dotted}`, `::${hex}`, `0:0:0:0:0:0:${dotted}`, // compatible
    `::ffff:0:${dotted}`, `::ffff:0:${hex}`, // translated (RFC 2765)
    `64:ff9b::${dotted}`, `64:ff9b::${hex}`, `0064:ff9b:0:0:0:0:${hex}`, `64:FF9B::${dotted}`, `64:ff9b:1::${dotted}`, `64:ff9b:1:7f00:0:100::`, // NAT64
    `2002:${hex}::`, `2002:${hex}::1`, `2002:${hex}:0:0:0:0:0:1`, `2002:${hex}::${dotted}`, // 6to4
    `2001::${inverted}`, `2001:0:${hex}::`, `2001:0:4136:e378:8000:63bf:${inverted}`, `2001:0000:0:0:0:0:${inverted}`, // Teredo
    `2001:470:1f0b::5efe:${hex}`, `2a00:1450::200:5efe:${dotted}`, `fe80::5efe:${dotted}`, `2606:4700:0:0:0000:5EFE:${hex}`, // ISATAP
  ].map((address) => `[${address}]`);
}

const LOCAL_V4: readonly Bytes[] = [
  [127, 0, 0, 1], [127, 0, 0, 53], [127, 0, 1, 1], [127, 255, 255, 254], [0, 0, 0, 0], [0, 0, 0, 1], [0, 255, 1, 2], [169, 254, 169, 254], [169, 254, 170, 2], [169, 254, 169, 123], [10, 0, 0, 1],
  [10, 255, 255, 255], [172, 16, 0, 1], [172, 17, 0, 1], [172, 31, 255, 254], [192, 168, 0, 1], [192, 168, 65, 2], [100, 64, 0, 1], [100, 100, 100, 200], [100, 127, 255, 254],
  [168, 63, 129, 16], [192, 0, 0, 1], [192, 0, 0, 192], [192, 0, 2, 7], [198, 51, 100, 7], [203, 0, 113, 7], [198, 18, 0, 1], [198, 19, 255, 254], [192, 88, 99, 1],
  [224, 0, 0, 1], [224, 0, 0, 251], [239, 255, 255, 250], [240, 0, 0, 1], [250, 1, 2, 3], [255, 255, 255, 254], [255, 255, 255, 255],
];

const LOCAL_V6 = [
  "::1", "::", "0:0:0:0:0:0:0:1", "::0001", "0::1", "::0:0:1", "0000::0001", "0:0:0:0:0:0:0.0.0.1", "::0.0.0.1", "::0.0.0.0", "::2", "::ffff", "fe80::1", "fe80::1ff:fe23:4567:890a", "febf:ffff::1", "FE80::A", "fec0::1",
  "feff::1", "fc00::1", "fd00::1", "FD00:EC2::254", "fd00:ec2:0:0:0:0:0:254", "fd20:ce::254", "fd12:3456:789a::1", "fdff:ffff:ffff::", "ff02::1", "ff01::1", "ff05::2", "FF0E::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  "100::1", "100:0:0:1::1", "2001:db8::1", "2001:DB8:0:0:8:800:200C:417A", "3fff::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1::1", "5f00::1", "4000::1", "8000::1", "200::1", "1fff::1", "e000::1",
].map((address) => `[${address}]`);

const BROKEN_HOSTS = [
  "[::1%25lo]", "[::1%lo]", "[fe80::1%25eth0]", "[fe80::1%251]", "[::ffff:127.0.0.1%25lo]", "[::1", "::1", "[::1]]", "[[::1]]", "[::1].", "[::1]x", "[localhost]", "[127.0.0.1]", "[v7.127]", "[::ffff:0x7f.1]", "[::ffff:127.1]",
  "[::ffff:0177.0.0.1]", "[::ffff:127.0.0.1.]", "[:::1]", "[::1::]", "[1::1::1]", "[0x0::1]", "[::g]", "[::%31]", "[：：１]", "%5B::1%5D", "127.0.0.1.1", "127.0.0", "256.1.1.1", "127.0.0.256", "4294967296", "0x100000000", "040000000000",
  "127..0.1", "127.0.0.1..", ".127.0.0.1", "-127.0.0.1", "+127.0.0.1", "127 0 0 1", "0x", "0x.0x.0x.0x", "0x7g.1", "09.0.0.1", "1e9", "127,0,0,1", "127.0.0.1,a.com", "127.0.0.1;a.com", "a.com,127.0.0.1",
  "a'b(c).com", "a$b.com", "a.com;b", "a=b.com", "a&b.com", "a!.com", "a~b.com", "a`b.com", "a\"b.com", "{a}.com", "*.example.com", "a..example.com", ".example.com", ".", "..", "...", "%00", "127.0.0.1%00", "localhost%00.example.com", "a%2fb.com",
  "a%40b.com", "a%3a1.com", "a%5b.com", "a%23b.com", "a%3fb.com", "a%25b.com", "\u2488.com", "a\u2100b.com", "a\uff0fb.com", `${"a".repeat(64)}.com`, `${"a.".repeat(130)}com`, "1".repeat(400),
];

const NAMES = [
  "localhost", "LOCALHOST", "LocalHost", "localhost.", "localhost..", "foo.localhost", "a.b.c.localhost", "foo.localhost.", "localhost.localdomain", "LOCALHOST.LOCALDOMAIN", "localhost6", "localhost6.localdomain6", "localhost4.localdomain4.local",
  "ip6-localhost", "ip6-loopback", "ip6-allnodes", "loopback", "broadcasthost", "127.0.0.1.localhost", "metadata", "metadata.", "metadata.google.internal", "METADATA.GOOGLE.INTERNAL", "metadata.google.internal.", "metadata.goog.internal",
  "instance-data", "instance-data.ec2.internal", "rancher-metadata", "kubernetes", "kubernetes.default.svc.cluster.local", "host.docker.internal", "gateway.docker.internal", "host.containers.internal", "host.lima.internal", "docker.for.mac.localhost",
  "router.local", "printer.local.", "raspberrypi.local", "nas.lan", "pfsense.home.arpa", "wiki.intranet", "wiki.corp", "tv.home", "db.private", "abcdefghij.onion", "foo.test", "foo.invalid", "com", "a", "xn--localhost-",
  FULL_WIDTH("localhost"), "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "𝓁ℴ𝒸𝒶𝓁𝒽ℴ𝓈𝓉", "ⅼocalhost", "lo\u00adcalhost", "localho\u200bst", "localhost\u2060", "ﬀ.localhost", "localhoſt", "localhost。", "a．localhost", "a｡local", "%6cocalhost", PERCENT("localhost"), "localhost%2e", "%E2%93%9Bocalhost",
  "foo．LOCAL", "printer。local", "ＭＥＴＡＤＡＴＡ.google.internal", "metadata.google.ｉnternal",
];

/** Whole URLs. `PORT` is that of the bird which speaks the scheme. */
const URLS = [
  // what a URL parser may take for the host
  "https://user@127.0.0.1:PORT/", "https://user:pass@127.0.0.1:PORT/", "https://:@127.0.0.1:PORT/", "https://@127.0.0.1:PORT/", "https://:pass@localhost:PORT/", "https://1.1.1.1@127.0.0.1:PORT/", "https://1.1.1.1:443@127.0.0.1:PORT/",
  "https://1.1.1.1%40127.0.0.1:PORT/", "https://1.1.1.1@@127.0.0.1:PORT/", "https://a@b@127.0.0.1:PORT/", "https://1.1.1.1:80\\@127.0.0.1:PORT/", "https://127.0.0.1:PORT\\@1.1.1.1/", "https://127.0.0.1:PORT#@1.1.1.1/", "https://127.0.0.1:PORT?@1.1.1.1/",
  "https://127.0.0.1:PORT/@1.1.1.1/", "https://127.0.0.1:PORT;@1.1.1.1/", "https://127.0.0.1:PORT%2f@1.1.1.1/", "https://[::1]:PORT@1.1.1.1:22/", "https://user@[::1]:PORT/", "https://[::1]@127.0.0.1:PORT/", "https://%75%73%65%72@127.0.0.1:PORT/", "https://1.1.1.1&@127.0.0.1:PORT#@1.1.1.1/",
  "https://1.1.1.1:\u0040127.0.0.1:PORT/", "https://1.1.1.1＠127.0.0.1:PORT/", "https://ⓔxample@127.0.0.1:PORT/",
  // slashes, tabs, line breaks, spaces
  "https:127.0.0.1:PORT/", "https:/127.0.0.1:PORT/", "https:///127.0.0.1:PORT/", "https:////127.0.0.1:PORT//", "https:\\127.0.0.1:PORT/", "https:\\\\127.0.0.1:PORT\\", "https:/\\127.0.0.1:PORT/", "https:\\/127.0.0.1:PORT/", "http:127.0.0.1:PORT", "\thttps://127.0.0.1:PORT/", "h\tttps://127.0.0.1:PORT/",
  "ht\ntps://127.0.0.1:PORT/", "https:/\n/127.0.0.1:PORT/", "https://127.\t0.0.1:PORT/", "https://127.0.0.\r\n1:PORT/", "https://127.0.0.1\t:PORT/", "  https://127.0.0.1:PORT/  ", "\u0000https://127.0.0.1:PORT/", "\u001f\u0001https://localhost:PORT/\u0002", "https://local\nhost:PORT/", "https://[::\t1]:PORT/",
  "https://127.0.0.1 :PORT/", "https://127.0.0.1: PORT/", "https://127.0.0.1\u00a0:PORT/", "https://127.0.0.1\u3000:PORT/", "https://127.0.0.1:PORT\r\nHost: 1.1.1.1/", "https://127.0.0.1:PORT/\r\nX: y", "https://127.0.0.1:PORT/%0d%0aX:y",
  // ports
  "https://127.0.0.1:0PORT/", "https://127.0.0.1:000000PORT/", "https://127.0.0.1:PORT:443/", "https://127.0.0.1:443:PORT/", "https://127.0.0.1:-1/", "https://127.0.0.1:65536/", "https://127.0.0.1:99999999999/", "https://127.0.0.1:/", "https://127.0.0.1:0/", "https://127.0.0.1:0x1bb/", "https://127.0.0.1:PORT./", "https://127.0.0.1:４４３/", "https://127.0.0.1:4\u0664/",
  // schemes
  "HTTPS://127.0.0.1:PORT/", "hTtPs://LOCALHOST:PORT/", "HTTP://127.0.0.1:PORT/", "//127.0.0.1:PORT/", "\\\\127.0.0.1:PORT\\", "/127.0.0.1:PORT/", "127.0.0.1:PORT", "localhost:PORT", "localhost:PORT/https://1.1.1.1/", ":", "", "?", "#", "https", "https:", "https://", "https:///", "https://#", "https://?", "https://:443", "http://", "://127.0.0.1:PORT/",
  "file:///etc/passwd", "file://localhost/etc/passwd", "file://127.0.0.1:PORT/", "file:\\\\127.0.0.1\\share", "ftp://127.0.0.1:PORT/", "ftps://127.0.0.1:PORT/", "sftp://127.0.0.1:PORT/", "tftp://127.0.0.1:PORT/", "gopher://127.0.0.1:PORT/_GET%20/", "dict://127.0.0.1:PORT/info", "ldap://127.0.0.1:PORT/", "ldaps://[::1]:PORT/", "smb://127.0.0.1/",
  "ws://127.0.0.1:PORT/", "wss://127.0.0.1:PORT/", "data:text/plain,bird", "data:,https://127.0.0.1:PORT/", "blob:http://127.0.0.1:PORT/0-0", "blob:https://127.0.0.1:PORT/0-0", "blob:null/0", "javascript:fetch('http://127.0.0.1:PORT')", "about:blank", "view-source:http://127.0.0.1:PORT/", "jar:http://127.0.0.1:PORT/!/", "netdoc:///etc/passwd", "node:fs", "urn:a:b", "mailto:a@127.0.0.1",
  "unix:/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/x", "https+unix:///x", "http-unix:///x", "h2c://127.0.0.1:PORT/", "https2://127.0.0.1:PORT/", "httpss://127.0.0.1:PORT/", "http\u0073://127.0.0.1:PORT/", "ｈｔｔｐｓ://127.0.0.1:PORT/", "https：//127.0.0.1:PORT/", "https:／／127.0.0.1:PORT/", "feed:https://127.0.0.1:PORT/", "url:http://127.0.0.1:PORT/", "URL=http://127.0.0.1:PORT/", "intent://127.0.0.1:PORT/", "chrome://version", "phar://x", "expect://id", "magnet:?x", "web+l402://127.0.0.1:PORT/", "lightning:lnbc1",
  // hosts that are a relative or doubled URL
  "https://https://127.0.0.1:PORT/", "https://http:127.0.0.1:PORT/", "https://127.0.0.1:PORT/https://1.1.1.1/", "https://../127.0.0.1:PORT/", "https://./", "https://1/", "https://1:PORT/", "https://00:PORT/", "https://0x0:PORT/", "https://0:PORT/", "https://~:PORT/", "https://_:PORT/", "https://%:PORT/", "https://<127.0.0.1>:PORT/", "https://127.0.0.1|x:PORT/", "https://^:PORT/",
];

const withPort = (url: string): string => url.replaceAll("PORT", String(/^\W*h\s*t\s*t\s*p:/i.test(url) ? bird.http : bird.https));

/** Each host over both schemes, with the port of a bird and without. */
const atBirds = (hosts: readonly string[]): string[] => hosts.flatMap((host) => [`https://${host}:${bird.https}/x`, `http://${host}:${bird.http}/`, `https://${host}/`, `http://${host}?a#b`]);

const GROUPS: readonly (readonly [string, () => string[]])[] = [
  ["IPv4, in decimal, octal, hex, short, padded, Unicode and percent forms", () => atBirds(LOCAL_V4.flatMap(spelled))],
  ["IPv4 in IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP", () => atBirds(LOCAL_V4.flatMap(embedded))],
  ["IPv6: loopback, link-local, unique local, multicast, documentation, unassigned", () => atBirds(LOCAL_V6)],
  ["hosts that are none", () => atBirds(BROKEN_HOSTS)],
  ["names of this machine, its networks and its platform", () => atBirds(NAMES)],
  ["whole URLs: user names, slashes, line breaks, ports, schemes", () => URLS.map(withPort)],
];

function open(options: GuardedFetchOptions = {}): ReturnType<typeof guardedFetch> {
  const fetch = guardedFetch(options);
  onTestFinished(() => fetch.close());
  return fetch;
}

function toolsOf(options?: ToolOptions): ((url: string) => Promise<{ ok: boolean; error: { code: string; paid: string } | null; text: string }>)[] {
  const client = new L402Client({ wallet: { payInvoice: () => Promise.reject(new Error("nothing to pay")) }, budgetSats: 1_000 });
  const [fetch, quote] = [fetchTool(client, options), quoteTool(client, options)];
  return [
    async (url) => fetch.execute({ url }).then((result) => ({ ...result, text: fetch.renderForModel(result) })),
    async (url) => quote.execute({ url }).then((result) => ({ ...result, text: quote.renderForModel(result) })),
  ];
}

/** A refusal of the tools, before anything was sent. */
const REFUSED = { ok: false, error: { code: expect.stringMatching(/^(transport_blocked|invalid_arguments)$/), paid: "no" }, text: expect.stringMatching(/^\[Not paid\] /) };
const BLOCKED = { name: "TransportError", code: "transport_blocked", paid: "no", retryable: false };

describe("the bird", () => {
  test("sings where nothing guards it, and its connections are counted", async () => {
    for (const [index, url] of [`http://127.0.0.1:${bird.http}/`, `http://[::1]:${bird.http}/`, `http://2130706433:${bird.http}/`, `http://①②⑦.1:${bird.http}/`].entries()) {
      const response = await fetch(url, { headers: { connection: "close" } });
      expect(await response.text()).toBe("the bird");
      expect(bird.hits).toBe(index + 1);
    }
    bird.hits = 0;
    for (const host of ["127.0.0.1", "[::1]"]) await fetch(`https://${host}:${bird.https}/`).catch(() => {});
    expect(bird.hits).toBe(2);
  });

  test("is sought in thousands of spellings", () => {
    const all = GROUPS.flatMap(([, urls]) => urls());
    expect(new Set(all).size).toBeGreaterThan(9_000);
    expect(new Set(all.flatMap((url) => URL.parse(url)?.hostname ?? [])).size).toBeGreaterThan(650);
  });
});

describe.each(GROUPS)("%s", (_title, urls) => {
  test("do not reach it by the transport", async () => {
    const guarded = open();
    for (const url of urls()) await expect(guarded(url), JSON.stringify(url)).rejects.toMatchObject(BLOCKED);
    expect(await hits()).toBe(0);
  });

  test("do not reach it where the developer opened other places", async () => {
    const guarded = open({ allowHosts: ["localhost:1", "127.0.0.1:1", "dev.example.com", `dev.example.com:${bird.https}`, `dev.example.com:${bird.http}`], allowPorts: [443, bird.https, bird.http] });
    for (const url of urls()) await expect(guarded(url, { redirect: "manual" }), JSON.stringify(url)).rejects.toMatchObject(BLOCKED);
    expect(await hits()).toBe(0);
  });

  test("do not reach it by l402_fetch and l402_quote", async () => {
    for (const ask of toolsOf()) for (const url of urls()) expect(await ask(url), JSON.stringify(url)).toMatchObject(REFUSED);
    expect(await hits()).toBe(0);
  });
});

test("no address of these is a public one, however it is written", () => {
  for (const host of [...LOCAL_V4.flatMap(spelled), ...LOCAL_V4.flatMap(embedded), ...LOCAL_V6]) {
    expect(isPublicAddress(host.replaceAll(/^\[|\]$/g, "")), host).toBe(false);
    const parsed = URL.parse(`https://${host}/`)?.hostname.replaceAll(/^\[|\]$/g, "");
    if (parsed !== undefined) expect(isPublicAddress(parsed), host).toBe(false);
  }
});

describe("public names", () => {
  const answers = [...LOCAL_V4.flatMap((bytes) => [bytes.join("."), ...embedded(bytes).map((host) => host.slice(1, -1))]), ...LOCAL_V6.map((host) => host.slice(1, -1)), "fe80::1%lo", "::1%lo", "127.1", "0x7f000001", "2130706433", "localhost", "", " 127.0.0.1", "127.0.0.1 ", "127.0.0.1\0"];

  test("do not lead to it by what DNS answers, alone or among good answers", async () => {
    let zone: string[] = [];
    const guarded = open({ lookup: async () => zone.map((address) => ({ address })) });
    for (const address of answers) {
      for (zone of [[address], [PUBLIC, address], [address, PUBLIC], ["2606:4700:4700::1111", PUBLIC, address]]) {
        await expect(guarded(`https://api.example.com:${bird.https}/`), JSON.stringify(zone)).rejects.toMatchObject(BLOCKED);
      }
    }
    expect(await hits()).toBe(0);
  });

  test("whose answer changes from one look-up to the next lead to it at no time", async () => {
    const opened: string[] = [];
    let turn = 0;
    const lookup = async (): Promise<{ address: string }[]> => [{ address: (turn += 1) % 2 === 0 ? "127.0.0.1" : PUBLIC }];
    const guarded = createGuardedFetch({ lookup }, ({ hostname, lookup: pinned }) => {
      // What the system would connect to: the pinned answer, however often it is asked for.
      for (let again = 0; again < 3; again += 1) pinned(hostname, { all: true }, (_error, found) => opened.push(...(found as { address: string }[]).map(({ address }) => address)));
      return Promise.reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
    });
    onTestFinished(() => guarded.close());
    for (let call = 0; call < 20; call += 1) {
      await expect(guarded(`https://rebind.example.com:${bird.https}/`)).rejects.toMatchObject(call % 2 === 0 ? { name: "TypeError" } : BLOCKED);
    }
    expect(opened).toHaveLength(30);
    expect(new Set(opened)).toEqual(new Set([PUBLIC]));
    expect(await hits()).toBe(0);
  });
});

describe("ports", () => {
  const OTHERS = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 80, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995,
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 1433, 1521, 3306, 3389, 5432, 5672, 5900, 6379, 8332, 8333, 9042, 9092, 9735, 11211, 27017,
  ];

  test("of other protocols are closed, on public hosts too", async () => {
    const guarded = open();
    for (const port of OTHERS) {
      for (const url of [`https://1.1.1.1:${port}/`, `https://[2606:4700:4700::1111]:${port}/`, `https://api.example.com:${port}/`]) await expect(guarded(url), url).rejects.toMatchObject(BLOCKED);
      for (const ask of toolsOf()) expect(await ask(`https://1.1.1.1:${port}/`)).toMatchObject(REFUSED);
    }
  });
});

/** A server that the developer opened, which redirects as its path says: `/?status=307&to=…&hops=2`. */
async function redirector(): Promise<{ host: string; url: string; to(location: string, more?: { status?: number; hops?: number; headers?: Record<string, string> }): string; seen: string[] }> {
  const seen: string[] = [];
  const plans: { location: string; status: number; headers: Record<string, string> }[] = [];
  const server = await httpServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://x");
    seen.push(url.pathname);
    const plan = plans[Number(url.searchParams.get("plan") ?? -1)];
    const hops = Number(url.searchParams.get("hops") ?? 0);
    if (plan === undefined) response.end("home");
    else if (hops > 0) response.writeHead(plan.status, { location: `/?plan=${url.searchParams.get("plan")}&hops=${hops - 1}` }).end("on");
    else response.writeHead(plan.status, { location: Buffer.from(plan.location).toString("latin1"), ...plan.headers }).end("away");
  });
  return {
    ...server,
    seen,
    to: (location, { status = 302, hops = 0, headers = {} } = {}) => `${server.url}?plan=${plans.push({ location, status, headers }) - 1}&hops=${hops}`,
  };
}

describe("redirects from a host that was opened", () => {
  const isHeader = (location: string): boolean => !/[\0-\x08\x0a-\x1f\x7f]/.test(location) && location.trim() === location && location !== "";

  test("do not reach it: every status, to every spelling of loopback and metadata, at once and after some hops", async () => {
    const server = await redirector();
    const options = { allowHosts: [server.host] };
    const guarded = open(options);
    const asks = toolsOf(options);
    const four = [...spelled([127, 0, 0, 1]), ...embedded([127, 0, 0, 1]), ...spelled([169, 254, 169, 254]), ...LOCAL_V6.slice(0, 12), ...NAMES];
    const targets = four.flatMap((host) => [`https://${host}:${bird.https}/`, `http://${host}:${bird.http}/`, `//${host}:${bird.http}/`]);
    for (const [index, target] of targets.entries()) {
      if (!isHeader(target)) continue;
      const url = server.to(target, { status: [301, 302, 303, 307, 308][index % 5] as number, hops: index % 4 });
      await expect(guarded(url), JSON.stringify(target)).rejects.toMatchObject({ code: "transport_blocked" });
      for (const ask of asks) expect(await ask(url), JSON.stringify(target)).toMatchObject({ ok: false, error: { code: expect.stringMatching(/^transport_(blocked|failed)$/), paid: "no" } });
    }
    expect(await hits()).toBe(0);
  });

  test("do not reach it: whole URLs, schemes and user names", async () => {
    const server = await redirector();
    const options = { allowHosts: [server.host] };
    const guarded = open(options);
    const asks = toolsOf(options);
    let refused = 0;
    for (const target of URLS.map(withPort)) {
      if (!isHeader(target)) continue;
      const to = URL.parse(Buffer.from(target).toString("latin1"), server.url);
      const stays = to !== null && to.host === server.host && to.protocol === "http:" && to.username === "" && to.password === "";
      const url = server.to(target);
      const error = await guarded(url).then(() => undefined, (thrown: unknown) => thrown);
      if (stays) expect(error === undefined || (error as { code?: string }).code === "transport_limit", JSON.stringify(target)).toBe(true);
      else expect(error, JSON.stringify(target)).toMatchObject({ code: "transport_blocked" });
      refused += stays ? 0 : 1;
      for (const ask of asks) {
        const { ok, error: told } = await ask(url);
        expect(stays ? told === null || told.code !== "internal" : !ok && /^transport_(blocked|failed)$/.test(told?.code ?? ""), JSON.stringify(target)).toBe(true);
      }
    }
    expect(refused).toBeGreaterThan(100);
    expect(await hits()).toBe(0);
  });

  test.each(["blob:http://127.0.0.1/0-0", "data:text/plain,bird", "file:///etc/passwd", "ftp://127.0.0.1/", "javascript:1", "about:blank", "ws://127.0.0.1/", "pay-1000000-sats-to-me-at-once:now"])("to %s are refused without repeating it", async (location) => {
    const server = await redirector();
    const options = { allowHosts: [server.host] };
    await expect(open(options)(server.to(location))).rejects.toMatchObject({ ...BLOCKED, message: expect.not.stringContaining(location.slice(0, 8)) });
    for (const ask of toolsOf(options)) expect(await ask(server.to(location))).toMatchObject({ ok: false, error: { code: "transport_blocked", message: expect.not.stringContaining(location.slice(0, 8)) } });
  });

  test("end: in a chain that is too long, in a loop, and between two hosts that send each other around", async () => {
    const one = await redirector();
    const two = await redirector();
    const options = { allowHosts: [one.host, two.host] };
    const guarded = open(options);
    const asks = toolsOf(options);
    const back = one.to(two.to(`${one.url}?plan=0`));
    const urls = [one.to(`http://127.0.0.1:${bird.http}/`, { hops: 6 }), one.to("?plan=1"), back, one.to("", { hops: 50 })];
    for (const url of [urls[0] as string, urls[2] as string, urls[3] as string]) {
      await expect(guarded(url), url).rejects.toMatchObject({ code: "transport_limit" });
      for (const ask of asks) expect(await ask(url), url).toMatchObject({ ok: false, error: { code: "transport_limit", paid: "no" } });
    }
    expect(await hits()).toBe(0);
  });

  test("that are none are not followed: refresh, link, content-location, HTML, and statuses without a redirect", async () => {
    const away = `http://127.0.0.1:${bird.http}/`;
    const server = await httpServer((request, response) => {
      const headers = { refresh: `0;url=${away}`, link: `<${away}>; rel=preload, <${away}>; rel=canonical`, "content-location": away, uri: away, "alt-svc": `http/1.1="127.0.0.1:${bird.http}"`, "x-accel-redirect": away, "service-worker-allowed": away };
      response.writeHead(Number(request.url?.slice(1)), request.url === "/200" ? headers : { ...headers, location: away }).end(`<meta http-equiv="refresh" content="0;url=${away}"><script>location="${away}"</script><img src="${away}">`);
    });
    const options = { allowHosts: [server.host] };
    for (const status of [200, 201, 300, 304, 305, 306, 309, 399, 400, 401, 402, 404, 500, 503]) {
      expect((await open(options)(`${server.url}${status}`)).status).toBe(status);
      const [ask] = toolsOf(options);
      expect(await ask?.(`${server.url}${status}`)).toMatchObject({ status });
    }
    expect(await hits()).toBe(0);
  });

  test.each<[string, (away: string) => string]>([
    ["two Locations, the second one away", (away) => `Location: /home\r\nLocation: ${away}\r\n`],
    ["two Locations, the first one away", (away) => `Location: ${away}\r\nLocation: /home\r\n`],
    ["a Location that is folded", (away) => `Location: /home\r\n ${away}\r\n`],
    ["a Location with a bare line feed", (away) => `Location: /home\nLocation: ${away}\r\n`],
    ["a Location with a bare carriage return", (away) => `Location: /home\rLocation: ${away}\r\n`],
    ["a Location with a NUL", (away) => `Location: ${away}\0/\r\n`],
    ["a Location with an escaped line break", (away) => `Location: /home%0d%0aLocation:%20${away}\r\n`],
    ["spaces before the colon", (away) => `Location : ${away}\r\n`],
    ["spaces and a tab around it", (away) => `Location: \t ${away} \t\r\n`],
    ["no value", (away) => `Location:\r\nX: ${away}\r\n`],
    ["a list", (away) => `Location: ${away}, ${away}\r\n`],
    ["quotation marks", (away) => `Location: "${away}"\r\n`],
    ["angle brackets", (away) => `Location: <${away}>\r\n`],
  ])("do not reach it by odd headers: %s", async (_title, headers) => {
    for (const away of [`http://127.0.0.1:${bird.http}/`, `http://[::1]:${bird.http}/`]) {
      const server = await rawServer((socket) => {
        socket.once("data", (head) => socket.end(head.toString("latin1").startsWith("GET / ") ? `HTTP/1.1 302 Found\r\n${headers(away)}Content-Length: 0\r\n\r\n` : "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhome"));
      });
      const options = { allowHosts: [server.host] };
      await open(options)(server.url).catch(() => {});
      for (const ask of toolsOf(options)) await ask(server.url);
    }
    expect(await hits()).toBe(0);
  });

  test("from https lead to plain http neither by the transport nor by the line of a tool, though both are opened", async () => {
    const plain = await httpServer((_request, response) => response.end("plain"));
    const secure = await tlsServer(["localhost"], (_request, response) => response.writeHead(302, { location: plain.url }).end());
    const url = `https://localhost:${secure.port}/`;
    const guarded = open({ allowHosts: [plain.host, `localhost:${secure.port}`], ca: secure.ca });
    await expect(guarded(url)).rejects.toMatchObject(BLOCKED);
    const client = new L402Client({ wallet: { payInvoice: () => Promise.reject(new Error("nothing to pay")) } });
    await expect(client.fetch(url, { [HOOKS]: { transport: guarded } } as object)).rejects.toMatchObject(BLOCKED);
    await expect(client.quote(url, { [HOOKS]: { transport: guarded } } as object)).rejects.toMatchObject(BLOCKED);
    expect(await (await guarded(plain.url)).text()).toBe("plain");
  });
});

describe("a mistake in allowHosts", () => {
  test("opens no other port, no other spelling and nothing by a redirect", async () => {
    const server = await redirector();
    const { port } = new URL(server.url);
    const options = { allowHosts: [`localhost:${port}`] };
    const guarded = open(options);
    const asks = toolsOf(options);
    const at = `http://localhost:${port}/`;
    expect(await (await guarded(at)).text()).toBe("home");
    const others = [
      ...[bird.http, bird.https, Number(port) + 1, Number(port) - 1, 80, 443].flatMap((other) => [`http://localhost:${other}/`, `https://localhost:${other}/`]),
      ...[...spelled([127, 0, 0, 1]), ...embedded([127, 0, 0, 1]), ...NAMES.filter((name) => URL.parse(`http://${name}/`)?.hostname !== "localhost"), "[::1]", "0", "0.0.0.0"].flatMap((host) => [`http://${host}:${port}/`, `https://${host}:${port}/`, `http://${host}:${bird.http}/`]),
      `http://user@localhost:${port}/`, `http://:@localhost:${port}@127.0.0.1:${bird.http}/`, `http://localhost:${port}@127.0.0.1:${bird.http}/`, `http://localhost.example.com:${port}/`, `http://localhost:${port}.example.com/`, `ws://localhost:${port}/`,
    ];
    const before = server.seen.length;
    for (const url of others) {
      await expect(guarded(url), url).rejects.toMatchObject(BLOCKED);
      for (const ask of asks) expect(await ask(url), url).toMatchObject(REFUSED);
    }
    expect(server.seen).toHaveLength(before);
    for (const url of others.filter((target) => /^[\x20-\x7e]*$/.test(target))) {
      const from = new URL(server.to(url));
      from.hostname = "localhost";
      await expect(guarded(from), url).rejects.toMatchObject({ code: "transport_blocked" });
    }
    expect(await hits()).toBe(0);
  });

  test.each([
    "*", "*:8402", "*.localhost", "localhost:*", "local*", "localhost:", "localhost:0", "localhost:65536", "localhost:80-90", "localhost:80,81", "localhost,127.0.0.1", "localhost;a", "localhost 127.0.0.1", "http://localhost:8402", "https://localhost", "//localhost", "localhost/", "localhost:8402/api",
    "localhost?x", "localhost#x", "user@localhost", "user:pass@localhost:1", "", " ", ".", "..", ".localhost", "a..b", "0.0.0.0", "0.0.0.0:8402", "0", "0x0:80", "[::]", "[::]:8402", "::", "255.255.255.255", "224.0.0.1:80", "[ff02::1]", "10.0.0.0/8", "127.0.0.1/8", "[::1%25lo]", "[fe80::1%25lo]", "^localhost$", "/localhost/", "a'b.com", "a$b", "${HOST}", "<host>", "localhost\n", "a\u0000b",
  ])("that is no host (%j) is refused at construction", (entry) => {
    const refusal = expect.objectContaining({ code: "invalid_options", message: expect.stringContaining("allowHosts") });
    expect(() => guardedFetch({ allowHosts: [entry] })).toThrow(refusal);
  });

  test.each(["*", "localhost:*", "http://localhost:8402", "localhost/", "user@localhost", "", "10.0.0.0/8"])("is refused by the tools as well: %j", (entry) => {
    expect(() => toolsOf({ allowHosts: [entry] })).toThrow(expect.objectContaining({ code: "invalid_options", message: expect.stringContaining("allowHosts") }));
  });
});

describe("what a server sends back", () => {
  test("behind its answer, for the next request, is not taken for the next answer", async () => {
    let served = 0;
    const server = await rawServer((socket) => {
      socket.on("data", () => {
        served += 1;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nreal${served}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned`);
      });
    });
    const guarded = open({ allowHosts: [server.host] });
    for (let call = 0; call < 5; call += 1) {
      const body = await guarded(server.url).then((response) => response.text(), () => "");
      expect(body).not.toContain("poisoned");
    }
  });

  test.each<[string, string]>([
    ["length and chunks at once", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"],
    ["a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\npoisoned"],
    ["a chunk without end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\npoisoned"],
    ["a NUL in a header", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 8\r\n\r\npoisoned"],
    ["an upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\npoisoned"],
  ])("in a broken frame is an error: %s", async (_title, answer) => {
    const server = await rawServer((socket) => socket.once("data", () => socket.end(answer)));
    const guarded = open({ allowHosts: [server.host] });
    await expect(guarded(server.url).then((response) => response.text())).rejects.toThrow();
  });

  test.each<[string, Buffer]>([
    ["gzip", gzipSync(Buffer.alloc(32 << 20))], ["br", brotliCompressSync(Buffer.alloc(32 << 20))], ["deflate", deflateSync(Buffer.alloc(32 << 20))], ["deflate", deflateRawSync(Buffer.alloc(32 << 20))], ["zstd", zstdCompressSync(Buffer.alloc(32 << 20))],
  ])("in %s grows to no more than a tool reads", async (coding, bomb) => {
    const server = await httpServer((_request, response) => response.writeHead(200, { "content-encoding": coding, "content-type": "text/csv" }).end(bomb));
    const client = new L402Client({ wallet: { payInvoice: () => Promise.reject(new Error("nothing to pay")) } });
    const result = await fetchTool(client, { allowHosts: [server.host], maxBytes: 100_000 }).execute({ url: server.url });
    expect(result).toMatchObject({ ok: true, truncated: true, binary: { bytes: 100_000 } });
    await expect((await open({ allowHosts: [server.host] })(server.url)).arrayBuffer()).rejects.toMatchObject({ code: "transport_limit" });
  });

  test.each(["gzip, gzip", "gzip,br", "br, identity, gzip", "gzip, gzip, gzip, gzip, gzip, gzip", "x-gzip, deflate", "zstd , br", "identity, gzip, identity, br"])("in stacked codings is refused: %s", async (codings) => {
    const layers = gzipSync(gzipSync(Buffer.alloc(1 << 20)));
    const one = await httpServer((_request, response) => response.writeHead(200, { "content-encoding": codings }).end(layers));
    const lines = await rawServer((socket) => socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\n${codings.split(",").map((coding) => `Content-Encoding: ${coding}\r\n`).join("")}Content-Length: 0\r\n\r\n`)));
    for (const server of [one, lines]) await expect(open({ allowHosts: [server.host] })(server.url)).rejects.toMatchObject({ code: "transport_limit" });
  });

  test("as a giant 402, in its headers or its body, compressed or without end, costs a tool no more than the bound", async () => {
    const macaroon = "A".repeat(40_000);
    const server = await httpServer((request, response) => {
      if (request.url === "/header") response.writeHead(402, { "www-authenticate": `L402 macaroon="${macaroon}", invoice="lnbc1"` }).end();
      else if (request.url === "/many") response.writeHead(402, Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`x-${index}`, "a".repeat(100)]))).end();
      else if (request.url === "/bomb") response.writeHead(402, { "content-type": "application/json", "content-encoding": "gzip" }).end(gzipSync(`{"pad":"${"x".repeat(8 << 20)}"}`));
      else {
        response.writeHead(402, { "content-type": "application/json" });
        const more = (): void => {
          while (!response.destroyed && response.write("[".repeat(10_000)));
        };
        response.on("drain", more);
        more();
      }
    });
    const [ask, quote] = toolsOf({ allowHosts: [server.host] });
    for (const path of ["header", "many"]) for (const tool of [ask, quote]) expect(await tool?.(server.url + path), path).toMatchObject({ ok: false, error: { code: "transport_limit", paid: "no" } });
    for (const path of ["bomb", "endless"]) expect(await ask?.(server.url + path), path).toMatchObject({ ok: false, error: { paid: "no" } });
  });
});

describe("proxies", () => {
  const SOURCE = fileURLToPath(new URL("../src/transport/index.ts", import.meta.url));

  test("in the environment of a process are ignored by the transport, though fetch obeys them", async () => {
    const server = await httpServer((_request, response) => response.end("direct"));
    const proxied: string[] = [];
    const proxy = await rawServer((socket) => socket.once("data", (head) => {
      proxied.push(head.toString("latin1").split("\r\n")[0] as string);
      socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }));
    const script = `
      const { guardedFetch } = await import(${JSON.stringify(SOURCE)});
      const fetch = guardedFetch({ allowHosts: [${JSON.stringify(server.host)}], lookup: () => Promise.reject(new Error("no DNS here")) });
      const tell = (promise) => promise.then((response) => response.text(), (error) => error.code ?? error.name);
      const said = [await tell(fetch(${JSON.stringify(server.url)})), await tell(fetch("https://api.example.com/")), await tell(fetch("https://127.0.0.1:${bird.https}/")), await tell(globalThis.fetch(${JSON.stringify(server.url)}))];
      console.log(JSON.stringify(said));
      await fetch.close();`;
    const env: NodeJS.ProcessEnv = { ...process.env, NODE_USE_ENV_PROXY: "1", NO_PROXY: "", no_proxy: "" };
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "npm_config_proxy", "npm_config_https_proxy"]) env[name] = proxy.url;
    const child = spawn(process.execPath, ["--experimental-strip-types", "--no-warnings", "--input-type=module", "-e", script], { env, stdio: ["ignore", "pipe", "pipe"] });
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(errors).toBe("");
    const [opened, unknown, loopback, unguarded] = JSON.parse(out) as string[];
    expect([opened, unknown, loopback]).toEqual(["direct", "TypeError", "transport_blocked"]);
    // Older versions of Node do not know the variable.
    if (Number(process.versions.node.split(".")[0]) >= 24) expect([unguarded, proxied.length]).not.toEqual(["direct", 0]);
    else expect(proxied).toEqual([]);
    expect(await hits()).toBe(0);
  });
});

test("both loopback addresses were there to be reached", () => {
  expect(bird.servers.map((server) => isIPv6((server.address() as AddressInfo).address))).toEqual([false, true, false, true]);
});
