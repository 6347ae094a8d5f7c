//! IP addresses within networks.

use core::net::IpAddr;

use ipnet::IpNet;

use super::address::embeds_ipv4;
use crate::{
    Reason,
    caveat::{
        describe::quote,
        json::{text_array, text_set},
    },
    json::Value,
};

/// An IP address, given as a text, that lies in one of these networks.
///
/// An address is not where a name leads: for hosts use [`Url`](super::Url).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cidr {
    networks: Vec<IpNet>,
}

impl Cidr {
    /// Reads 1 to 16 different networks in CIDR notation, each in its normal form with host bits of zero.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, also for a network of IPv6 addresses that embed IPv4 ones, since no text in it is ever read.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let texts = text_set(value)?;
        if !(1..=MAX_NETWORKS).contains(&texts.len()) {
            return Err(Reason::CaveatMalformed);
        }
        let networks = texts.iter().map(|text| network(text).ok_or(Reason::CaveatMalformed)).collect::<Result<_, _>>()?;
        Ok(Self { networks })
    }

    /// The networks, ordered as texts.
    pub fn to_json(&self) -> Value {
        text_array(&self.networks.iter().map(IpNet::to_string).collect())
    }

    /// Whether the address lies in a network; `None` for any other text and for an IPv6 address that embeds an IPv4 one.
    ///
    /// Read are four decimal numbers without leading zeros, and IPv6 texts of RFC 4291 §2.2: no zone, port or bracket.
    pub fn test(&self, text: &str) -> Option<bool> {
        let address: IpAddr = text.parse().ok()?;
        match address {
            IpAddr::V6(address) if embeds_ipv4(address) => None,
            _ => Some(self.networks.iter().any(|network| network.contains(&address))),
        }
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        let networks: Vec<_> = self.networks.iter().map(|network| quote(&network.to_string())).collect();
        format!("an IP address in {}", networks.join(" or "))
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = text.parse().ok()?;
    let normal = network.network() == network.addr() && network.to_string() == text;
    let unreadable = match network {
        IpNet::V4(_) => false,
        IpNet::V6(network) => embeds_ipv4(network.network()) && embeds_ipv4(network.broadcast()),
    };
    (normal && !unreadable).then_some(network)
}

const MAX_NETWORKS: usize = 16;

#[cfg(test)]
mod tests {
    use super::{super::tests::json, *};

    fn cidr(text: &str) -> Result<Cidr, Reason> {
        Cidr::from_json(&json(text))
    }

    #[test]
    fn addresses_within_a_network_are_accepted() {
        let rule = cidr(r#"["10.0.0.0/8","192.0.2.7/32","2001:db8::/32","::1/128"]"#).unwrap();
        for (text, expected) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("9.255.255.255", false),
            ("11.0.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::", true),
            ("2001:DB8:0:0:0:0:0:1", true),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db8::192.0.2.1", true),
            ("2001:db9::", false),
            ("::1", true),
            ("::", false),
            ("fe80::1", false),
        ] {
            assert_eq!(rule.test(text), Some(expected), "{text}");
        }
        assert_eq!(cidr(r#"["0.0.0.0/0"]"#).unwrap().test("::1"), Some(false));
        assert_eq!(cidr(r#"["::/0"]"#).unwrap().test("10.0.0.1"), Some(false));
    }

    #[test]
    fn texts_that_are_addresses_to_some_are_not_read() {
        let rule = cidr(r#"["0.0.0.0/0","::/0"]"#).unwrap();
        for text in [
            "",
            "10",
            "10.1",
            "10.0.1",
            "167772161",
            "0x0a000001",
            "0xa.0.0.1",
            "012.0.0.1",
            "10.0.0.01",
            "10.0.0.00",
            "10.0.0.256",
            "10.0.0.1.",
            ".10.0.0.1",
            "10.0.0.1.1",
            "10.0.0.-1",
            "+10.0.0.1",
            "10.0.0.1 ",
            " 10.0.0.1",
            "10.0.0.1\n",
            "10.0.0.1\0",
            "10.0.0.1/32",
            "10.0.0.1:80",
            "10。0。0。1",
            "１０.0.0.1",
            "١٠.0.0.1",
            "localhost",
            "[::1]",
            "[::1]:80",
            "::1%lo",
            "fe80::1%25eth0",
            "::1/128",
            ":::1",
            "1::2::3",
            "12345::",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:8::",
            "1:2:3:4::5:6:7:8",
            "::1.2.3",
            "2001:db8::1.2.3.04",
            "::g",
            "::ffff:10.0.0.1",
            "::ffff:a00:1",
            "0:0:0:0:0:FFFF:0a00:0001",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:a00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "fe80::5efe:10.0.0.1",
        ] {
            assert_eq!(rule.test(text), None, "{text}");
        }
    }

    #[test]
    fn networks_have_one_spelling() {
        for text in [
            "[]",
            r#""10.0.0.0/8""#,
            "[1]",
            r#"["10.0.0.1/8"]"#,
            r#"["10.0.0.0"]"#,
            r#"["10.0.0.0/33"]"#,
            r#"["10.0.0.0/08"]"#,
            r#"["10.0.0.0/255.0.0.0"]"#,
            r#"["010.0.0.0/8"]"#,
            r#"["10/8"]"#,
            r#"["2001:DB8::/32"]"#,
            r#"["2001:db8:0::/32"]"#,
            r#"["2001:db8::1/32"]"#,
            r#"["::/129"]"#,
            r#"["fe80::%1/64"]"#,
            r#"["::ffff:0:0/96"]"#,
            r#"["::ffff:10.0.0.0/104"]"#,
            r#"["2002::/16"]"#,
            r#"["64:ff9b::/96"]"#,
            r#"["10.0.0.0/8","10.0.0.0/8"]"#,
        ] {
            assert_eq!(cidr(text), Err(Reason::CaveatMalformed), "{text}");
        }
        let many: Vec<_> = (0..17).map(|net| format!("\"10.{net}.0.0/16\"")).collect();
        assert_eq!(cidr(&format!("[{}]", many.join(","))), Err(Reason::CaveatMalformed));
        assert!(cidr(&format!("[{}]", many[..16].join(","))).is_ok());
        assert_eq!(cidr(r#"["::/0","10.0.0.0/8"]"#).unwrap().to_json().canonical(), r#"["10.0.0.0/8","::/0"]"#);
    }
}
