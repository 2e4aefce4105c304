//! Where the registry listens: an address, or a Unix socket.
//!
//! A socket's file gets its mode by the umask, as every file does: who may open it may talk to the registry. What a dead server
//! left is taken away, what a living one listens on is refused, and so is a file that is no socket. Our own goes when we stop.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use cargohold_http::{Door, Listener, Tls, TlsSettings};
use tokio::net::{TcpListener, UnixListener};

use crate::{acme::AcmeSettings, configuration::Configuration};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On an address.
    Tcp(SocketAddr),
    /// On a Unix socket of this path.
    Unix(PathBuf),
}

/// The file of a socket, which goes with this.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// A file that another put in its place meanwhile is not ours.
    identity: (u64, u64),
}

/// Everything that the registry listens on, and how.
pub(crate) struct Entrance {
    listener: Listener,
    /// Where that is.
    pub(crate) place: Place,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Where proofs for a certificate authority are given by plain HTTP.
    pub(crate) proofs: Option<TcpListener>,
    file: Option<SocketFile>,
}

impl Entrance {
    /// Reads what TLS needs, then listens. Nothing is taken yet.
    pub(crate) async fn open(configuration: &Configuration) -> anyhow::Result<Self> {
        let Configuration { addr, tls, acme, server, .. } = configuration;
        let tls = speaks_tls(tls, acme, server.http2)?;
        let (listener, place, file) = addr.listen().await?;
        let proofs = match acme.http_addr.filter(|_| !acme.hosts.is_empty()) {
            Some(addr) => Some(TcpListener::bind(addr).await.with_context(|| {
                format!(
                    "http.tls.letsencrypt.httpaddr: cannot listen on {addr}; choose another, and lead port 80 there"
                )
            })?),
            None => None,
        };
        Ok(Self { listener, place, tls, proofs, file })
    }

    /// The door. What else is listened on stays with the caller.
    pub(crate) fn door(self) -> (Door, Option<SocketFile>) {
        (Door::from(self.listener).with_tls(self.tls), self.file)
    }
}

impl Place {
    /// Whether this machine alone reaches it.
    pub(crate) fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Tcp(addr) => addr.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// What that is called on a machine of this name.
    pub(crate) fn on(&self, machine: &str) -> String {
        match self {
            Self::Tcp(addr) => format!("{machine}:{}", addr.port()),
            Self::Unix(_) => machine.to_owned(),
        }
    }

    /// Listens there; answers where that is, now that a port is known.
    pub(crate) async fn listen(&self) -> anyhow::Result<(Listener, Self, Option<SocketFile>)> {
        match self {
            Self::Tcp(addr) => {
                let listener = TcpListener::bind(addr).await.map_err(|error| cannot_listen(*addr, error))?;
                let addr = listener.local_addr()?;
                Ok((Listener::Tcp(listener), Self::Tcp(addr), None))
            }
            Self::Unix(path) => {
                let (listener, file) = listen_at(path)
                    .with_context(|| format!("http.addr: cannot listen on the socket {}", path.display()))?;
                Ok((Listener::Unix(listener), self.clone(), Some(file)))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn listen_at(path: &Path) -> anyhow::Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => bail!("a file is there that is no socket; name another path"),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => bail!("a server listens there already; stop it, or name another path"),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).context("what a server left there that is gone cannot be removed")?;
            }
            Err(error) => return Err(error).context("it cannot be seen whether a server listens there"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let listener = UnixListener::bind(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "its folder is not there; make it first",
            io::ErrorKind::InvalidInput => "a socket's path has at most 107 bytes; choose a shorter one",
            _ => "choose another path",
        };
        anyhow::Error::new(error).context(why)
    })?;
    let file = SocketFile { identity: identity(path)?, path: path.to_owned() };
    Ok((listener, file))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// TLS, if there is a certificate or somebody who hands them out.
fn speaks_tls(settings: &TlsSettings, acme: &AcmeSettings, http2: bool) -> anyhow::Result<Option<Arc<Tls>>> {
    if settings.certificate.is_none() && acme.hosts.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Tls::open(settings.clone(), http2)?)))
}

/// Says what is wrong with an address, and what to do.
fn cannot_listen(addr: SocketAddr, error: io::Error) -> anyhow::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "something else listens there; choose another port, as in CARGOHOLD__HTTP__ADDR=127.0.0.1:5001"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 stands for all that it has"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 are for privileged users; choose a higher one",
        _ => "choose another address with CARGOHOLD__HTTP__ADDR",
    };
    anyhow::Error::new(error).context(format!("http.addr: cannot listen on {addr}: {why}"))
}
