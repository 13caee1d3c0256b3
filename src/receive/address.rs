use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Returns who called: the peer, or whom a trusted proxy names.
///
/// Proxies append, so the list is read from its end for as long as the one who wrote an entry is trusted; what stands
/// before that, anybody can have written. An entry that is no address ends the search at the proxy that wrote it.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let named: Vec<_> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|line| line.as_bytes().split(|&b| b == b','))
        .map(|entry| std::str::from_utf8(entry).ok().and_then(parse))
        .collect();
    let mut client = peer.to_canonical();
    for before in named.into_iter().rev() {
        match before {
            Some(before) if is_in(client, trusted) => client = before,
            Some(_) | None => break,
        }
    }
    client
}

/// Whether `allow_from` lets this address call; an empty list lets everybody.
pub(super) fn is_allowed(client: IpAddr, allowed: &[IpNet]) -> bool {
    allowed.is_empty() || is_in(client, allowed)
}

fn is_in(address: IpAddr, nets: &[IpNet]) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// An address as proxies write it, perhaps with a port or in brackets.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry
        .strip_prefix('[')
        .and_then(|e| e.strip_suffix(']'))
        .unwrap_or(entry);
    let address = bare.parse().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    address.or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn called_by(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(called_by("192.0.2.9", &["194.50.38.1"]), "192.0.2.9");
        assert_eq!(called_by("127.0.0.1", &["194.50.38.1"]), "194.50.38.1");
        assert_eq!(called_by("::ffff:127.0.0.1", &["194.50.38.1"]), "194.50.38.1");
        assert_eq!(called_by("127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn what_a_stranger_wrote_before_the_last_trusted_hop_is_not_believed() {
        assert_eq!(
            called_by("127.0.0.1", &["194.50.38.1, 192.0.2.7, 10.1.1.1"]),
            "192.0.2.7"
        );
        assert_eq!(called_by("127.0.0.1", &["194.50.38.1", "192.0.2.7"]), "192.0.2.7");
        assert_eq!(called_by("127.0.0.1", &["194.50.38.1, unknown"]), "127.0.0.1");
    }

    #[test]
    fn ports_and_brackets_are_read() {
        for (entry, address) in [
            ("192.0.2.7:4711", "192.0.2.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            (" ::ffff:192.0.2.7 ", "192.0.2.7"),
        ] {
            assert_eq!(called_by("127.0.0.1", &[entry]), address);
        }
    }

    #[test]
    fn an_empty_list_allows_everybody() {
        let nets: Vec<IpNet> = vec!["194.50.38.0/24".parse().unwrap()];
        let (inside, outside) = ("194.50.38.200".parse().unwrap(), "194.50.39.1".parse().unwrap());
        assert!(is_allowed(outside, &[]));
        assert!(is_allowed(inside, &nets) && !is_allowed(outside, &nets));
    }
}
