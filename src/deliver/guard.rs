//! Where a delivery may go: a URL of the configuration must not become a way into the network that we stand in.
//!
//! Names are judged by the addresses that they resolve to, and the connection goes to the address that was judged: a
//! name that changes its mind in between changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the whole Internet can reach this address; also looks into the forms of IPv6 that carry an IPv4 address.
///
/// Source of the tables: IANA's registries of special-purpose addresses.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// First address and length of each block that is not public.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),       // this network, unspecified
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // behind a provider's address translation
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, a cloud's metadata service
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays, retired
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// The same within `2000::/3`; everything outside that is not public.
const SPECIAL_V6: [(u128, u32); 3] = [
    (0x2001 << 112, 23),     // protocol assignments: benchmarks, ORCHID and others
    (0x2001_0db8 << 96, 32), // documentation
    (0x3fff << 112, 20),     // documentation
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4
        .iter()
        .any(|&(block, length)| (address.to_bits() ^ u32::from_be_bytes(block)) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    // The IPv4 address whose last bit is this far from the end.
    let embedded = |shift: u32| Ipv4Addr::from_bits(u32::try_from(bits >> shift & 0xffff_ffff).expect("32 bits"));
    match address.segments() {
        // ::ffff:0:0/96, an IPv4 address in IPv6 clothes, and 64:ff9b::/96, where a NAT64 takes them off.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(embedded(0)),
        // 6to4.
        [0x2002, ..] => is_public_v4(embedded(80)),
        // Teredo: the server's address, and the client's with its bits turned over.
        [0x2001, 0, ..] => is_public_v4(embedded(64)) && is_public_v4(Ipv4Addr::from_bits(!embedded(0).to_bits())),
        _ => {
            bits >> 125 == 0b001
                && !SPECIAL_V6
                    .iter()
                    .any(|&(block, length)| (bits ^ block) >> (128 - length) == 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn what_only_we_can_reach_is_not_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
            "64:ff9b:1::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn what_everyone_can_reach_is_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "194.50.38.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2a01:4f8::1",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn an_embedded_address_is_judged_like_itself() {
        for (private, open) in [
            ("::ffff:127.0.0.1", "::ffff:1.1.1.1"),
            ("::ffff:10.0.0.1", "::ffff:194.50.38.1"),
            ("64:ff9b::169.254.169.254", "64:ff9b::1.1.1.1"),
            ("2002:7f00:0001::1", "2002:0101:0101::1"),
            ("2002:c0a8:0101::1", "2002:c232:2601::1"),
            // Teredo server 1.1.1.1; client 10.0.0.1 and 1.1.1.1.
            ("2001:0:0101:0101:0:ffff:f5ff:fffe", "2001:0:0101:0101:0:ffff:fefe:fefe"),
            // Teredo server 10.0.0.1.
            ("2001:0:0a00:0001:0:ffff:fefe:fefe", "2001:0:0101:0101:0:ffff:fefe:fefe"),
        ] {
            assert!(!public(private), "{private}");
            assert!(public(open), "{open}");
        }
    }

    proptest! {
        /// No clothes make a private address public, nor the other way round.
        #[test]
        fn every_form_of_an_address_gets_one_answer(bits: u32) {
            let plain = is_public(IpAddr::V4(Ipv4Addr::from_bits(bits)));
            let low = u128::from(bits);
            let forms = [
                0xffff << 32 | low,
                0x0064_ff9b << 96 | low,
                0x2002 << 112 | low << 80,
                0x2001_0000 << 96 | 0x0101_0101 << 64 | u128::from(!bits),
            ];
            for form in forms {
                prop_assert_eq!(is_public(IpAddr::V6(Ipv6Addr::from_bits(form))), plain, "{:x}", form);
            }
        }
    }
}
