//! Ports for what is started beside the suite.

use std::net::TcpListener;

use anyhow::{Result, anyhow};

/// Ports that nobody listens on at the moment.
pub(crate) fn free<const N: usize>() -> Result<[u16; N]> {
    // All held at once, so that they differ.
    let listeners: Vec<_> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<u16> = listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<Result<_>>()?;
    ports.try_into().map_err(|_| anyhow!("there are other ports than asked for"))
}
