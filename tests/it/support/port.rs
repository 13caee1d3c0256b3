use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// A port that nobody else gets: while nothing listens on it, connections are refused, as by a server that is down.
///
/// A socket that is bound and does not listen keeps it; with SO_REUSEADDR another may listen, of this process or of a
/// child.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _keeper: TcpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let keeper = bound((Ipv4Addr::LOCALHOST, 0).into());
        Self {
            address: keeper.local_addr().unwrap(),
            _keeper: keeper,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn listen(&self) -> TcpListener {
        bound(self.address).listen(1024).unwrap()
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}
