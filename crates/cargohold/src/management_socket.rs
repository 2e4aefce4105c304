//! The socket in the data folder by which the registry's own user, and nobody else, reaches the management API.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::net::UnixListener as StdUnixListener},
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
};
use tokio::net::{UnixListener, UnixStream};

const NAME: &str = "cargohold.sock";
/// Connections that may wait to be taken.
const BACKLOG: i32 = 64;

/// Listens in a data folder that this process owns: what is left of an earlier socket is a dead one's.
pub(crate) fn listen_in(folder: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(folder.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Set before it has a name, the mode is there from the first moment on.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    let (_held, path) = reachable(folder)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    UnixListener::from_std(StdUnixListener::from(socket))
}

/// Connects to the server that owns a data folder.
pub(crate) async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let (_held, path) = reachable(folder)?;
    UnixStream::connect(path).await
}

/// The socket's path by way of the open folder: the address of a socket has 108 bytes, a folder's path may have more.
fn reachable(folder: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
    Ok((folder, path))
}
