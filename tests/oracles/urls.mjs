// A second opinion on the rule `url`, by Node's own `URL` and `net.BlockList`.
// Rule: {"schemes"?, "hosts"?, "not_hosts"?, "ports"?, "path"?, "public"?}. Text: a URL.
//
// Can't judge whether the lists of reserved names and networks are complete, public suffixes, name resolution, redirects.

import { readFileSync } from "node:fs";
import { BlockList, isIPv4 } from "node:net";

const DEFAULT_PORTS = { "http:": 80, "https:": 443, "ws:": 80, "wss:": 443 };
const RESERVED = new Set(
  "alt arpa corp example home i2p internal intranet invalid lan local localdomain localhost mail onion priv private svc test workgroup".split(" "),
);
const NOT_PUBLIC_V4 = networks(
  "ipv4",
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 " +
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4",
);
const GLOBAL_V6 = networks("ipv6", "2000::/3");
const NOT_PUBLIC_V6 = networks("ipv6", "2001::/23 2001:db8::/32 3fff::/20");
const EMBEDDING = networks("ipv6", "::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 2002::/16 2001::/32");

const PATH = /^(?:[A-Za-z0-9/\-._~!$&'()*+,=:@]|%(?:20|22|3C|3E|5B|5D|5E|60|7B|7C|7D|[89A-F][0-9A-F]))*$/;
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

function networks(family, list) {
  const found = new BlockList();
  for (const network of list.split(" ")) {
    const [address, length] = network.split("/");
    found.addSubnet(address, Number(length), family);
  }
  return found;
}

// The normal form of an address has no dotted tail, so eight groups come of filling the gap.
function isIsatap(address) {
  const [head, tail] = address.split("::").map((part) => part.split(":").filter(Boolean));
  const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  return ["0", "200"].includes(groups[4]) && groups[5] === "5efe";
}

function kindOf(hostname) {
  if (hostname.startsWith("[")) {
    const address = hostname.slice(1, -1);
    const embeds = !["::", "::1"].includes(address) && (EMBEDDING.check(address, "ipv6") || isIsatap(address));
    return embeds ? null : "ipv6";
  }
  if (isIPv4(hostname)) return "ipv4";
  return NAME.test(hostname) ? "name" : null;
}

function isPublic(kind, hostname) {
  if (kind === "ipv4") return !NOT_PUBLIC_V4.check(hostname, "ipv4");
  if (kind === "ipv6") {
    const address = hostname.slice(1, -1);
    return GLOBAL_V6.check(address, "ipv6") && !NOT_PUBLIC_V6.check(address, "ipv6");
  }
  const labels = hostname.split(".");
  return labels.length > 1 && !RESERVED.has(labels.at(-1));
}

function listed(hosts, hostname) {
  return hosts.some((host) => {
    if (!host.startsWith("*.")) return host === hostname;
    const wanted = host.slice(2).split("."), labels = hostname.split(".");
    return labels.length > wanted.length && labels.slice(-wanted.length).join(".") === wanted.join(".");
  });
}

function pathMatches(wanted, path) {
  return wanted.endsWith("/") ? path.slice(0, wanted.length) === wanted : path === wanted;
}

function decodes(path) {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function answer(rule, text) {
  if (Buffer.byteLength(text) > 4096 || !URL.canParse(text)) return "unreadable";
  const url = new URL(text);
  const bare = url.href === `${text}/` && text === `${url.protocol}//${url.host}`;
  const kind = kindOf(url.hostname);
  const readable =
    (url.href === text || bare) &&
    url.protocol in DEFAULT_PORTS &&
    url.username === "" &&
    url.password === "" &&
    !text.includes("#") &&
    kind !== null &&
    PATH.test(url.pathname) &&
    !url.pathname.includes("//") &&
    decodes(url.pathname);
  if (!readable) return "unreadable";
  const port = url.port === "" ? DEFAULT_PORTS[url.protocol] : Number(url.port);
  const accepts =
    (rule.schemes ?? ["https"]).includes(url.protocol.slice(0, -1)) &&
    (rule.hosts === undefined || listed(rule.hosts, url.hostname)) &&
    !listed(rule.not_hosts ?? [], url.hostname) &&
    (rule.ports === undefined || rule.ports.includes(port)) &&
    (rule.path === undefined || pathMatches(rule.path, url.pathname)) &&
    (!rule.public || isPublic(kind, url.hostname));
  return accepts ? "accepts" : "rejects";
}

const lines = readFileSync(0, "utf8").split("\n").filter((line) => line !== "");
const answers = lines.map((line) => {
  const { rule, text } = JSON.parse(line);
  return answer(rule, text);
});
process.stdout.write(answers.map((found) => `${found}\n`).join(""));
