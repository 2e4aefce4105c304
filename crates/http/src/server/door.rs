//! Where connections come in: a listener on TCP or on a Unix socket, with TLS or without.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::tls::Tls;

/// Where connections come in, and what is spoken there.
#[derive(Debug)]
pub struct Door {
    pub(super) listener: Listener,
    pub(super) tls: Option<Arc<Tls>>,
}

/// What hears of connections.
#[derive(Debug)]
pub enum Listener {
    /// From this machine and others.
    Tcp(TcpListener),
    /// From this machine only: whoever may open the file.
    Unix(UnixListener),
}

/// A connection before anything was said.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address; one of IPv4 is never dressed as IPv6.
    Tcp(SocketAddr),
    /// A program on this machine, by a Unix socket.
    Unix,
}

impl Door {
    /// Speaks TLS there.
    #[must_use]
    pub fn with_tls(self, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..self }
    }
}

impl From<Listener> for Door {
    fn from(listener: Listener) -> Self {
        Self { listener, tls: None }
    }
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Listener::Tcp(listener).into()
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                (Socket::Tcp(tcp), peer.into())
            }
            Self::Unix(listener) => (Socket::Unix(listener.accept().await?.0), Peer::Unix),
        })
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl Peer {
    /// Its address; that of this machine for who came by a Unix socket.
    pub fn ip(&self) -> IpAddr {
        match self {
            Self::Tcp(address) => address.ip(),
            Self::Unix => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix => formatter.write_str("unix"),
        }
    }
}
