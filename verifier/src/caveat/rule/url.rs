//! URLs by their parts.

use core::net::IpAddr;
use std::collections::BTreeSet;

use url::{Host, Url as Parsed};

use super::{
    MAX_TEXT,
    address::{embeds_ipv4, is_public},
};
use crate::{
    Reason,
    caveat::{
        describe::quote,
        json::{Members, text, text_array, text_set},
    },
    json::{Key, Value},
};

/// A URL whose parts are all among those named; a part that isn't named may be anything, except the scheme.
///
/// It judges the text alone. What a name resolves to, now or at the next look (rebinding), and where an answer redirects to
/// are out of scope: a tool that fetches checks the address it connects to, and each redirect like a first URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    schemes: BTreeSet<String>,
    hosts: Option<BTreeSet<String>>,
    not_hosts: Option<BTreeSet<String>>,
    ports: Option<BTreeSet<u16>>,
    path: Option<String>,
    public: bool,
}

impl Url {
    /// Reads an object with at least one of `schemes`, `hosts`, `not_hosts`, `ports`, `path` and `public`.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, also for a host or path that no readable URL has.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        if value.as_object().is_none_or(|members| members.is_empty()) {
            return Err(Reason::CaveatMalformed);
        }
        let schemes = texts(&mut members, "schemes", MAX_SCHEMES, |scheme| SCHEMES.contains(&scheme))?;
        let rule = Self {
            schemes: schemes.unwrap_or_else(|| BTreeSet::from([DEFAULT_SCHEME.to_owned()])),
            hosts: texts(&mut members, "hosts", MAX_HOSTS, is_host_pattern)?,
            not_hosts: texts(&mut members, "not_hosts", MAX_HOSTS, is_host_pattern)?,
            ports: if members.has("ports") { Some(read_ports(members.value("ports")?)?) } else { None },
            path: if members.has("path") { Some(read_path(members.text("path")?)?) } else { None },
            public: members.has("public") && read_true(members.value("public")?)?,
        };
        members.end()?;
        Ok(rule)
    }

    /// The members that there are, and always the schemes.
    pub fn to_json(&self) -> Value {
        let ports = |ports: &BTreeSet<u16>| Value::Array(ports.iter().map(|port| Value::Integer((*port).into())).collect());
        let members = [
            ("schemes", Some(text_array(&self.schemes))),
            ("hosts", self.hosts.as_ref().map(text_array)),
            ("not_hosts", self.not_hosts.as_ref().map(text_array)),
            ("ports", self.ports.as_ref().map(ports)),
            ("path", self.path.as_deref().map(text)),
            ("public", self.public.then_some(Value::Flag(true))),
        ];
        Value::Object(members.into_iter().filter_map(|(name, value)| Some((Key(name.to_owned()), value?))).collect())
    }

    /// Whether all parts are as named; `None` for a text that is no URL with a host, or that some parser could read otherwise.
    pub fn test(&self, text: &str) -> Option<bool> {
        let url = read(text)?;
        let (host, name) = (url.host()?, url.host_str()?);
        Some(
            self.schemes.contains(url.scheme())
                && self.hosts.as_ref().is_none_or(|hosts| covers(hosts, name))
                && !self.not_hosts.as_ref().is_some_and(|hosts| covers(hosts, name))
                && self.ports.as_ref().is_none_or(|ports| url.port_or_known_default().is_some_and(|port| ports.contains(&port)))
                && self
                    .path
                    .as_deref()
                    .is_none_or(|path| if path.ends_with('/') { url.path().starts_with(path) } else { url.path() == path })
                && (!self.public || is_public_host(&host)),
        )
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        let join = |set: &BTreeSet<String>| set.iter().map(|item| quote(item)).collect::<Vec<_>>().join(" or ");
        let mut sentence = format!("a URL with scheme {}", join(&self.schemes));
        if self.public {
            sentence.push_str(", on a public host");
        }
        if let Some(hosts) = &self.hosts {
            sentence.push_str(&format!(", host {}", join(hosts)));
        }
        if let Some(hosts) = &self.not_hosts {
            sentence.push_str(&format!(", host not {}", join(hosts)));
        }
        if let Some(ports) = &self.ports {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            sentence.push_str(&format!(", port {}", ports.join(" or ")));
        }
        match &self.path {
            Some(path) if path.ends_with('/') => sentence.push_str(&format!(", path below {}", quote(path))),
            Some(path) => sentence.push_str(&format!(", path {}", quote(path))),
            None => {}
        }
        sentence
    }
}

/// Parses a text that has one reading.
///
/// It must be what the WHATWG parser writes, which leaves no octal, hexadecimal or short addresses, Unicode or upper-case
/// names, default ports, dot segments, backslashes or tabs; only the slash after a bare authority may be missing. A
/// fragment stays on the client, so what a server gets never depends on it, and parsers once disagreed on `#` before `@`.
fn read(text: &str) -> Option<Parsed> {
    // what isn't ASCII is never the parser's own form, and reading it as a name costs the parser most
    if text.len() > MAX_TEXT || !text.is_ascii() {
        return None;
    }
    let url = Parsed::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.as_str().strip_suffix('/') == Some(text);
    let plain = (bare || url.as_str() == text)
        && SCHEMES.contains(&url.scheme())
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && is_plain_host(&url.host()?)
        && is_plain_path(url.path());
    plain.then_some(url)
}

/// Letters, digits, `-` and `_` in labels of the sizes that DNS has: the WHATWG parser takes `'`, `,` or `*` too, and no
/// label at all between or after dots, where resolvers differ.
fn is_plain_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let label = |label: &str| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
            };
            name.len() <= 253 && name.split('.').all(label)
        }
        Host::Ipv4(_) => true,
        Host::Ipv6(address) => !embeds_ipv4(*address),
    }
}

/// Whether each character of the path has its one spelling and nothing in it can be dropped, merged or cut.
///
/// Unescaped stand the characters that RFC 3986 §3.3 has in a path, without `;` after which some servers cut a segment.
/// Escaped, in upper case, stand the printable others of ASCII but `#`, `%`, `?` and `\`, and what lies beyond ASCII.
/// So no escape hides a slash, a dot, another escape or a NUL, and two paths that decode alike are alike.
fn is_plain_path(path: &str) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = byte == b'%';
        let Some(byte) = (if escaped { read_escape(&mut bytes) } else { Some(byte) }) else { return false };
        let one_spelling = if escaped { byte >= 0x80 || ESCAPED_IN_PATH.contains(&byte) } else { is_bare_in_path(byte) };
        if !one_spelling {
            return false;
        }
        decoded.push(byte);
    }
    // overlong forms of a slash or dot are no UTF-8
    !path.contains("//") && core::str::from_utf8(&decoded).is_ok()
}

fn read_escape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || match bytes.next()? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some(digit()? << 4 | digit()?)
}

fn is_bare_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&byte)
}

fn covers(patterns: &BTreeSet<String>, host: &str) -> bool {
    // the star of `*.example.com` stands for at least one label, so the dot after it is part of what must follow
    patterns.contains(host) || patterns.iter().any(|pattern| pattern.strip_prefix('*').is_some_and(|below| host.ends_with(below)))
}

/// A dotted name outside the names that never are on the public Internet, or an address that is.
///
/// Which registries let others register below a name (public suffixes), and what a public name resolves to, is not known here.
fn is_public_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.rsplit_once('.').is_some_and(|(_, top)| !NOT_PUBLIC_NAMES.contains(&top)),
        Host::Ipv4(address) => is_public(IpAddr::V4(*address)),
        Host::Ipv6(address) => is_public(IpAddr::V6(*address)),
    }
}

/// A host as it stands in a readable URL, or `*.` and a name.
fn is_host_pattern(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.");
    let host = name.unwrap_or(pattern);
    read(&format!("https://{host}/")).is_some_and(|url| url.host_str() == Some(host) && (name.is_none() || url.domain().is_some()))
}

fn read_path(path: String) -> Result<String, Reason> {
    let sound =
        path.len() <= MAX_PATH && read(&format!("https://host{path}")).is_some_and(|url| url.path() == path && url.query().is_none());
    if sound { Ok(path) } else { Err(Reason::CaveatMalformed) }
}

fn read_ports(value: &Value) -> Result<BTreeSet<u16>, Reason> {
    let Value::Array(items) = value else { return Err(Reason::CaveatMalformed) };
    if !(1..=MAX_PORTS).contains(&items.len()) {
        return Err(Reason::CaveatMalformed);
    }
    let port = |item: &Value| match item {
        Value::Integer(port) => u16::try_from(*port).ok().filter(|port| *port > 0),
        _ => None,
    };
    let ports: BTreeSet<u16> = items.iter().map(port).collect::<Option<_>>().ok_or(Reason::CaveatMalformed)?;
    if ports.len() == items.len() { Ok(ports) } else { Err(Reason::CaveatMalformed) }
}

/// `false` would be a second spelling of an absent member.
fn read_true(value: &Value) -> Result<bool, Reason> {
    if *value == Value::Flag(true) { Ok(true) } else { Err(Reason::CaveatMalformed) }
}

fn texts(members: &mut Members<'_>, name: &str, count: usize, sound: fn(&str) -> bool) -> Result<Option<BTreeSet<String>>, Reason> {
    if !members.has(name) {
        return Ok(None);
    }
    let texts = text_set(members.value(name)?)?;
    let sound = (1..=count).contains(&texts.len()) && texts.iter().all(|text| sound(text));
    if sound { Ok(Some(texts)) } else { Err(Reason::CaveatMalformed) }
}

const DEFAULT_SCHEME: &str = "https";
/// Schemes whose URLs have a host that every WHATWG parser normalises.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];
const MAX_SCHEMES: usize = SCHEMES.len();
const MAX_HOSTS: usize = 32;
const MAX_PORTS: usize = 16;
const MAX_PATH: usize = 1024;

const ESCAPED_IN_PATH: &[u8] = b" \"<>[]^`{|}";

/// Last labels that never lead to a public host: special-use names (RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476), names
/// kept back because private networks use them, and what clusters and home routers answer to.
const NOT_PUBLIC_NAMES: [&str; 20] = [
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "i2p",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "priv",
    "private",
    "svc",
    "test",
    "workgroup",
];

#[cfg(test)]
mod tests;
