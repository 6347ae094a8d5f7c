//! What kind of IP address one is: hiding another inside it, or reachable from everywhere.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Whether an IPv6 address carries an IPv4 address that some network or library would connect to instead.
///
/// A gateway's own NAT64 prefix (RFC 6052 §2.2) can't be told from the address.
pub(super) fn embeds_ipv4(address: Ipv6Addr) -> bool {
    match address.segments() {
        // unspecified and loopback (RFC 4291 §2.5.2, §2.5.3) share their prefix with the compatible addresses
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => false,
        // compatible and mapped, RFC 4291 §2.5.5; translated, RFC 2765 §2.1
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => true,
        // NAT64, RFC 6052 §2.1 and RFC 8215
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => true,
        // Teredo, RFC 4380 §2.6; 6to4, RFC 3056 §2; ISATAP, RFC 5214 §6.1
        [0x2001, 0, ..] | [0x2002, ..] | [_, _, _, _, 0 | 0x200, 0x5efe, ..] => true,
        _ => false,
    }
}

/// Whether the address is one that the whole Internet reaches by the IANA special-purpose registries (RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address) && !embeds_ipv4(address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    // shared by carriers, RFC 6598; one cloud's metadata service too
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // a cloud's service for its guests, reached from inside alone although the block is public
    v4(168, 63, 129, 16, 32),
    // link-local: the metadata service of most clouds
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    // relays of 6to4, given up by RFC 7526
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// All that IANA hands out for unicast so far; unique local, link-local, multicast and the rest lie outside.
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 3);

const NOT_PUBLIC_V6: [Ipv6Net; 3] = [
    // protocol assignments: Teredo, benchmarks, identifiers that are no addresses
    v6(0x2001, 0, 23),
    // documentation, RFC 3849 and RFC 9637
    v6(0x2001, 0xdb8, 32),
    v6(0x3fff, 0, 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_carry_an_ipv4_address_is_known() {
        for (text, expected) in [
            ("::ffff:10.0.0.1", true),
            ("::10.0.0.1", true),
            ("::2", true),
            ("::ffff:0:a00:1", true),
            ("64:ff9b::a00:1", true),
            ("64:ff9b:1::a00:1", true),
            ("64:ff9b:1:ffff:ffff::", true),
            ("2001::1", true),
            ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2002:a00:1::", true),
            ("2a00:1450::5efe:a00:1", true),
            ("fe80::200:5efe:a00:1", true),
            ("::", false),
            ("::1", false),
            ("64:ff9b:2::a00:1", false),
            ("64:ff9a::a00:1", false),
            ("64:ff9b:0:0:1::", false),
            ("2001:1::1", false),
            ("2003::1", false),
            ("::1:0:0:0", false),
            ("fd00::1", false),
        ] {
            assert_eq!(embeds_ipv4(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn addresses_that_not_everyone_reaches_are_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2a00::5efe:808:808",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "3fff:1000::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
