//! A connection's first bytes: a handshake, or somebody who does not know that this port speaks TLS.

use std::{io, sync::Arc};

use rustls::{
    ServerConfig,
    server::{Accepted, Acceptor},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::{Tls, certificate::Shown, count};

/// What is read at a time: most clients' first message fits.
const READ: usize = 4096;
/// What a certificate authority says that it speaks when it wants a proof.
const PROOF: &[u8] = b"acme-tls/1";

/// Why a connection is not one of TLS.
#[derive(Debug)]
pub(crate) enum Refused<T> {
    /// The client sent a request of plain HTTP, and waits for the answer.
    Plain(T),
    /// A certificate authority was shown what it asked for.
    Challenge,
    /// There is nothing to be said to it, or it was told in the terms of TLS.
    Failed(io::Error),
}

impl<T> From<io::Error> for Refused<T> {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Tls {
    /// Does the server's part of a handshake. How long that may take is left to the caller, who drops it then.
    pub(crate) async fn accept<T>(&self, stream: T) -> Result<TlsStream<T>, Refused<T>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let outcome = self.shake_hands(stream).await;
        count(match &outcome {
            Ok(_) => &self.counters.handshakes,
            Err(Refused::Plain(_)) => &self.counters.plain_requests,
            Err(Refused::Challenge) => &self.counters.challenges,
            Err(Refused::Failed(_)) => &self.counters.failed_handshakes,
        });
        outcome
    }

    /// Counts a handshake that was given up.
    pub(crate) fn gave_up(&self) {
        count(&self.counters.failed_handshakes);
    }

    async fn shake_hands<T>(&self, mut stream: T) -> Result<TlsStream<T>, Refused<T>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(accepted) = hello(&mut stream).await? else { return Err(Refused::Plain(stream)) };
        if let Some(name) = challenged(&accepted) {
            self.show_proof(accepted, stream, name).await?;
            return Err(Refused::Challenge);
        }
        let config = self.config();
        Ok(StartHandshake::from_parts(accepted, stream).into_stream(config).await?)
    }
}

impl Tls {
    /// A handshake that is there for its certificate alone.
    async fn show_proof<T>(&self, accepted: Accepted, stream: T, name: String) -> io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let nobody = || io::Error::new(io::ErrorKind::NotFound, "nobody waits for this name to be asked for");
        let challenges = self.challenges.get().ok_or_else(nobody)?;
        let certificate = challenges.certificate(name).await.ok_or_else(nobody)?;
        let shown = Arc::new(Shown::default());
        shown.set_default(Some(certificate));
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(shown);
        config.alpn_protocols = vec![PROOF.to_vec()];
        let mut stream = StartHandshake::from_parts(accepted, stream).into_stream(Arc::new(config)).await?;
        stream.shutdown().await
    }
}

/// The name that a certificate authority wants a proof for, if one asks (RFC 8737 §3).
fn challenged(accepted: &Accepted) -> Option<String> {
    let hello = accepted.client_hello();
    let asks = hello.alpn()?.any(|protocol| protocol == PROOF);
    hello.server_name().filter(|_| asks).map(str::to_ascii_lowercase)
}

/// The client's first message; none if it is a request.
async fn hello<T: AsyncRead + AsyncWrite + Unpin>(stream: &mut T) -> io::Result<Option<Accepted>> {
    let mut acceptor = Acceptor::default();
    // Gone before the connection is used: an idle one does not keep it.
    let mut buffer = Box::new([0; READ]);
    let mut first = true;
    loop {
        let read = stream.read(&mut buffer[..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The records of TLS begin with 20 to 24, requests with a word in capitals.
        if first && buffer[0].is_ascii_uppercase() {
            return Ok(None);
        }
        first = false;
        let mut unread = &buffer[..read];
        while !unread.is_empty() {
            if acceptor.read_tls(&mut unread)? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(Some(accepted)),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut told = Vec::new();
                alert.write_all(&mut told)?;
                // Whether it arrives or not, the connection is over.
                let _ = stream.write_all(&told).await;
                let _ = stream.shutdown().await;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}
