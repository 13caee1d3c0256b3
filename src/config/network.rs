//! Addresses of the network, and of the web.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::reader::Value;
use super::values::{Expected, parsed};

/// "127.0.0.1:8080".
pub(super) fn listen_address(value: &Value<'_>, problems: &mut Problems) -> Option<SocketAddr> {
    let expected = Expected {
        what: "an IP address and a port",
        examples: "\"127.0.0.1:8080\" for this machine alone, \"0.0.0.0:8080\" or \"[::]:8080\" for everyone",
    };
    parsed(value, expected, codes::BAD_NETWORK_ADDRESS, problems, |text| {
        text.parse().ok()
    })
}

/// "10.0.0.0/8", or one address.
pub(super) fn network(value: &Value<'_>, problems: &mut Problems) -> Option<IpNet> {
    let expected = Expected {
        what: "an IP address or a network",
        examples: "\"127.0.0.1\" or \"194.50.38.0/24\"",
    };
    parsed(value, expected, codes::BAD_NETWORK_ADDRESS, problems, |text| {
        text.parse()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    })
}

/// An `http://` or `https://` address.
pub(super) fn web_url(value: &Value<'_>, problems: &mut Problems) -> Option<Url> {
    let expected = Expected {
        what: "an address that begins with https:// or http://",
        examples: "\"https://shop.example.com/notify\"",
    };
    if value
        .as_str()
        .is_some_and(|text| text.trim().contains(char::is_whitespace))
    {
        let what = format!("`{}` has a blank in it, and an address has none", value.key);
        problems.push(
            value
                .problem(codes::BAD_URL, what)
                .instead("one address; a blank within it is written %20"),
        );
        return None;
    }
    let url = parsed(value, expected, codes::BAD_URL, problems, |text| {
        let url = Url::parse(text).ok()?;
        (["http", "https"].contains(&url.scheme()) && url.has_host()).then_some(url)
    })?;
    let what = if has_user_info(&url) {
        "has a user name or password, which would end up in logs"
    } else if url.fragment().is_some() {
        "has a `#` part, which is never sent to a server"
    } else {
        return Some(url);
    };
    let what = format!("`{}` {what}", value.key);
    problems.push(Problem::new(codes::BAD_URL, &value.spot, what).instead("write the address without it"));
    None
}

pub(super) fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether the host is written as an address, or name, that only this machine or network knows.
pub(crate) fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(ip)) => is_private(ip.into()),
        Some(Host::Ipv6(ip)) => is_private(ip.into()),
        None => false,
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let carrier = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || carrier
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_hosts_are_known_by_their_text() {
        for (url, private) in [
            ("http://localhost/", true),
            ("http://a.localhost./", true),
            ("http://127.1/", true),
            ("http://10.0.0.1/", true),
            ("http://100.64.0.1/", true),
            ("http://[::1]/", true),
            ("http://[::ffff:192.168.0.1]/", true),
            ("http://[fd00::1]/", true),
            ("http://8.8.8.8/", false),
            ("http://shop.example/", false),
        ] {
            assert_eq!(is_private_host(&Url::parse(url).unwrap()), private, "{url}");
        }
    }
}
