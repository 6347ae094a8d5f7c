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
    if text.len() > MAX_TEXT {
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
mod tests {
    use super::{super::tests::json, *};

    fn url(text: &str) -> Result<Url, Reason> {
        Url::from_json(&json(text))
    }

    #[test]
    fn every_named_part_must_be_as_named() {
        for (rule, text, expected) in [
            (r#"{"schemes":["https"]}"#, "https://a.example/", true),
            (r#"{"schemes":["https"]}"#, "https://a.example", true),
            (r#"{"schemes":["https"]}"#, "http://a.example/", false),
            (r#"{"schemes":["ws","http"]}"#, "ws://a.example/", true),
            (r#"{"hosts":["a.example"]}"#, "http://a.example/", false),
            (r#"{"hosts":["a.example"]}"#, "https://a.example:8443/x?y=z", true),
            (r#"{"hosts":["a.example"]}"#, "https://b.example/", false),
            (r#"{"hosts":["a.example"]}"#, "https://a.example.evil.net/", false),
            (r#"{"hosts":["a.example"]}"#, "https://evil.net/a.example", false),
            (r#"{"hosts":["a.example"]}"#, "https://evil.net/?@a.example", false),
            (r#"{"hosts":["*.a.example"]}"#, "https://x.a.example/", true),
            (r#"{"hosts":["*.a.example"]}"#, "https://x.y.a.example/", true),
            (r#"{"hosts":["*.a.example"]}"#, "https://a.example/", false),
            (r#"{"hosts":["*.a.example"]}"#, "https://xa.example/", false),
            (r#"{"hosts":["xn--bcher-kva.example"]}"#, "https://xn--bcher-kva.example/", true),
            (r#"{"hosts":["10.0.0.1","[2001:db8::1]"]}"#, "https://10.0.0.1/", true),
            (r#"{"hosts":["10.0.0.1","[2001:db8::1]"]}"#, "https://[2001:db8::1]:444/", true),
            (r#"{"hosts":["*.a.example"],"not_hosts":["x.a.example"]}"#, "https://x.a.example/", false),
            (r#"{"hosts":["*.a.example"],"not_hosts":["x.a.example"]}"#, "https://y.x.a.example/", true),
            (r#"{"not_hosts":["*.corp.example","10.0.0.1"]}"#, "https://a.corp.example/", false),
            (r#"{"not_hosts":["*.corp.example","10.0.0.1"]}"#, "https://10.0.0.1/", false),
            (r#"{"not_hosts":["*.corp.example","10.0.0.1"]}"#, "https://corp.example/", true),
            (r#"{"ports":[443,8443]}"#, "https://a.example/", true),
            (r#"{"ports":[443,8443]}"#, "https://a.example:8443/", true),
            (r#"{"ports":[443,8443]}"#, "https://a.example:444/", false),
            (r#"{"schemes":["http"],"ports":[443]}"#, "http://a.example/", false),
            (r#"{"ports":[1]}"#, "https://a.example:0/", false),
            (r#"{"path":"/v1/"}"#, "https://a.example/v1/", true),
            (r#"{"path":"/v1/"}"#, "https://a.example/v1/x/y?z", true),
            (r#"{"path":"/v1/"}"#, "https://a.example/v1", false),
            (r#"{"path":"/v1/"}"#, "https://a.example/V1/x", false),
            (r#"{"path":"/v1/"}"#, "https://a.example/?/v1/", false),
            (r#"{"path":"/v1"}"#, "https://a.example/v1", true),
            (r#"{"path":"/v1"}"#, "https://a.example/v1?x=1", true),
            (r#"{"path":"/v1"}"#, "https://a.example/v1/", false),
            (r#"{"path":"/v1"}"#, "https://a.example/v12", false),
            (r#"{"path":"/"}"#, "https://a.example", true),
            (r#"{"path":"/a%20b/%C3%A9"}"#, "https://a.example/a%20b/%C3%A9", true),
        ] {
            assert_eq!(self::url(rule).unwrap().test(text), Some(expected), "{rule} {text}");
        }
    }

    #[test]
    fn hosts_that_are_not_on_the_internet_are_not_public() {
        let rule = url(r#"{"public":true,"schemes":["http","https"]}"#).unwrap();
        for (text, expected) in [
            ("https://example.com/", true),
            ("http://8.8.8.8/", true),
            ("https://[2606:4700::1111]/", true),
            ("https://localhost/", false),
            ("https://intranet/", false),
            ("https://app.localhost/", false),
            ("https://printer.local/", false),
            ("http://metadata.google.internal/", false),
            ("https://router.home.arpa/", false),
            ("https://kubernetes.default.svc/", false),
            ("https://x.svc.cluster.local/", false),
            ("https://a.test/", false),
            ("https://a.onion/", false),
            ("http://169.254.169.254/latest/meta-data/", false),
            ("http://127.0.0.1/", false),
            ("http://[::1]/", false),
            ("http://[fd00:ec2::254]/", false),
            ("http://[fe80::1]/", false),
        ] {
            assert_eq!(rule.test(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn texts_that_some_parser_reads_otherwise_are_not_read() {
        let rule = url(r#"{"schemes":["http","https","ws","wss"]}"#).unwrap();
        for text in [
            "",
            "a.example",
            "//a.example/",
            "/a",
            "https:a.example",
            "https:/a.example/",
            "https:///a.example/",
            "https://",
            "https:///",
            "https://?x",
            // userinfo, and what hides or imitates it
            "https://user@a.example/",
            "https://user:pw@a.example/",
            "https://@a.example/",
            "https://:@a.example/",
            "https://a.example@evil.net/",
            "https://a.example:443@evil.net/",
            "https://a.example%40evil.net/",
            "https://evil.net#@a.example/",
            "https://evil.net?@a.example/",
            "https://evil.net\\@a.example/",
            "https://a.example\\.evil.net/",
            "https:\\\\a.example\\",
            "https://a.example/\\..\\b",
            // addresses in other clothes
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0/",
            "http://127.0.0.1./",
            "http://127.000.000.001/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:1::]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::1%25lo]/",
            "http://[::1%lo]/",
            "http://[FE80::1]/",
            "http://[::1/",
            "http://::1/",
            // names in other clothes
            "https://A.example/",
            "https://bücher.example/",
            "https://a.example./",
            "https://.a.example/",
            "https://a..example/",
            "https://ａ.example/",
            "https://a\u{ad}.example/",
            "https://a%2eexample/",
            "https://%61.example/",
            "https://*.example/",
            "https://a,b.example/",
            "https://a'b.example/",
            "https://a b.example/",
            "https://xn--/",
            // the rest of the normal form
            "HTTPS://a.example/",
            " https://a.example/",
            "https://a.example/ ",
            "https://a.exa\tmple/",
            "https://a.example/\n",
            "ht\ntps://a.example/",
            "https://a.example:443/",
            "http://a.example:80/",
            "https://a.example:/",
            "https://a.example:0443/",
            "https://a.example:65536/",
            "https://a.example?x",
            "https://a.example/#x",
            "https://a.example/#",
            "https://a.example#",
            "https://a.example/a?x#y",
            // paths
            "https://a.example/a/../b",
            "https://a.example/./a",
            "https://a.example/..",
            "https://a.example/%2e%2e/b",
            "https://a.example/%2E/b",
            "https://a.example/a%2fb",
            "https://a.example/a%2Fb",
            "https://a.example/a%5cb",
            "https://a.example/a%5Cb",
            "https://a.example/a%00",
            "https://a.example/%61",
            "https://a.example/%c3%a9",
            "https://a.example/%C0%AE",
            "https://a.example/%C3",
            "https://a.example/%252e",
            "https://a.example/%",
            "https://a.example/%3F",
            "https://a.example/%23",
            "https://a.example/%0A",
            "https://a.example/%7F",
            "https://a.example/%zz",
            "https://a.example/%2",
            "https://a.example/a//b",
            "https://a.example//b",
            "https://a.example/..;/b",
            "https://a.example/a;x=1",
            "https://a.example/a b",
            "https://a.example/é",
            "https://a.example/a|b",
            "https://a.example/a[b]",
            "https://a.example/a^b",
            // other schemes
            "ftp://a.example/",
            "file:///etc/passwd",
            "file://a.example/b",
            "gopher://a.example/",
            "data:text/plain,a",
            "javascript:alert(1)",
            "postgres://a.example/",
            "blob:https://a.example/x",
            "mailto:a@a.example",
        ] {
            assert_eq!(rule.test(text), None, "{text:?}");
        }
        assert_eq!(rule.test(&format!("https://a.example/{}", "a".repeat(MAX_TEXT))), None);
        assert_eq!(rule.test(&format!("https://{}.example/", "a".repeat(64))), None);
        assert_eq!(rule.test(&format!("https://{}example/", "a.".repeat(124))), None);
    }

    #[test]
    fn rules_that_no_url_meets_or_with_two_spellings_are_refused() {
        for text in [
            "{}",
            r#""https://a.example/""#,
            r#"{"schemes":[]}"#,
            r#"{"schemes":["HTTPS"]}"#,
            r#"{"schemes":["file"]}"#,
            r#"{"schemes":["https","https"]}"#,
            r#"{"schemes":"https"}"#,
            r#"{"hosts":[]}"#,
            r#"{"hosts":["A.example"]}"#,
            r#"{"hosts":["a.example."]}"#,
            r#"{"hosts":["*"]}"#,
            r#"{"hosts":["*."]}"#,
            r#"{"hosts":["a.*.example"]}"#,
            r#"{"hosts":["*.*.example"]}"#,
            r#"{"hosts":["*a.example"]}"#,
            r#"{"hosts":["*.10.0.0.1"]}"#,
            r#"{"hosts":["a.example:443"]}"#,
            r#"{"hosts":["a.example:80"]}"#,
            r#"{"hosts":["a.example/"]}"#,
            r#"{"hosts":["u@a.example"]}"#,
            r#"{"hosts":["bücher.example"]}"#,
            r#"{"hosts":["127.1"]}"#,
            r#"{"hosts":["::1"]}"#,
            r#"{"hosts":["[::ffff:7f00:1]"]}"#,
            r#"{"hosts":[""]}"#,
            r#"{"not_hosts":[]}"#,
            r#"{"not_hosts":["A"]}"#,
            r#"{"ports":[]}"#,
            r#"{"ports":[0]}"#,
            r#"{"ports":[65536]}"#,
            r#"{"ports":[80,80]}"#,
            r#"{"ports":["80"]}"#,
            r#"{"ports":80}"#,
            r#"{"path":""}"#,
            r#"{"path":"a/"}"#,
            r#"{"path":"/a/../"}"#,
            r#"{"path":"/a?x"}"#,
            r#"{"path":"/a#x"}"#,
            r#"{"path":"/%2e/"}"#,
            r#"{"path":"/é"}"#,
            r#"{"path":"//"}"#,
            r#"{"path":":444/"}"#,
            r#"{"public":false}"#,
            r#"{"public":1}"#,
            r#"{"hosts":["a.example"],"scheme":["https"]}"#,
        ] {
            assert_eq!(url(text), Err(Reason::CaveatMalformed), "{text}");
        }
        let hosts = |count| (0..count).map(|n| format!("\"h{n}.example\"")).collect::<Vec<_>>().join(",");
        assert!(url(&format!(r#"{{"hosts":[{}]}}"#, hosts(32))).is_ok());
        assert_eq!(url(&format!(r#"{{"hosts":[{}]}}"#, hosts(33))), Err(Reason::CaveatMalformed));
        let ports = |count: u16| (1..=count).map(|port| port.to_string()).collect::<Vec<_>>().join(",");
        assert!(url(&format!(r#"{{"ports":[{}]}}"#, ports(16))).is_ok());
        assert_eq!(url(&format!(r#"{{"ports":[{}]}}"#, ports(17))), Err(Reason::CaveatMalformed));
        assert_eq!(url(&format!(r#"{{"path":"/{}"}}"#, "a".repeat(MAX_PATH))), Err(Reason::CaveatMalformed));
    }

    #[test]
    fn the_default_scheme_is_written_out() {
        let rule = url(r#"{"public":true,"ports":[8443,443]}"#).unwrap();
        assert_eq!(rule.to_json().canonical(), r#"{"ports":[443,8443],"public":true,"schemes":["https"]}"#);
        assert_eq!(rule, url(r#"{"ports":[443,8443],"public":true,"schemes":["https"]}"#).unwrap());
    }
}
