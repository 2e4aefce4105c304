//! A connection of TLS: HTTP/1.1, byte by byte.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::{
    registry::Registry,
    wire::{self, Wire},
};

pub(super) type Secure = Wire<StreamOwned<ClientConnection, TcpStream>>;

impl Secure {
    /// Shakes hands to the end: a server that refuses a client's certificate says so at last by now.
    pub(super) fn shake_hands(registry: &Arc<Registry>, client: ClientConfig) -> io::Result<Self> {
        let session = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, wire::connect(registry));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::of(stream, registry.clone()))
    }

    /// What the server has shown.
    pub(super) fn certificate(&mut self) -> Vec<u8> {
        self.stream().conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// What both agreed upon, by its name in Go.
    pub(super) fn suite(&mut self) -> String {
        format!("{:?}", self.stream().conn.negotiated_cipher_suite().unwrap().suite())
    }

    /// Whether a request is answered: a client that shows nothing may learn only now that it should have.
    pub(super) fn is_served(&mut self) -> bool {
        let request = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.stream().write_all(request).and_then(|()| self.stream().read_exact(&mut [0])).is_ok()
    }
}
