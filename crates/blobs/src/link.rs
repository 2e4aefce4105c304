//! Link files of the CNCF registry: a digest as text, which names what lies elsewhere.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use cargohold_oci::{Digest, DigestError};
use thiserror::Error;

/// Longer than any digest with what editors and scripts append to one.
const MOST_BYTES: u64 = 256;

/// Why a link names nothing.
#[derive(Debug, Error)]
pub enum LinkError {
    /// It is not there, no file, or cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// Longer than any link.
    #[error("it has {0} bytes, and a link is a digest")]
    Length(u64),
    /// Something else is in it.
    #[error("it holds no digest: {0}")]
    Digest(#[source] DigestError),
}

/// What a link names. Blocks.
///
/// The CNCF registry writes no newline behind it and reads none; people and scripts do write one, so white space is let pass.
pub fn read(path: &Path) -> Result<Digest, LinkError> {
    // Looked at before it is opened: to open a pipe is to wait for whoever writes to it.
    let found = fs::metadata(path).map_err(LinkError::Unreadable)?;
    if !found.is_file() {
        return Err(LinkError::Unreadable(io::Error::other("it is no file")));
    }
    if found.len() > MOST_BYTES {
        return Err(LinkError::Length(found.len()));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(LinkError::Unreadable)?;
    file.take(MOST_BYTES).read_to_end(&mut text).map_err(LinkError::Unreadable)?;
    Digest::parse(String::from_utf8_lossy(&text).trim()).map_err(LinkError::Digest)
}

#[cfg(test)]
mod tests {
    use cargohold_oci::Algorithm;

    use super::*;

    #[test]
    fn a_link_is_a_digest_and_perhaps_a_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        let digest = Digest::of(Algorithm::Sha512, b"some");
        for text in [digest.to_string(), format!("{digest}\n"), format!(" {digest} \r\n")] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap(), digest);
        }
        for text in [b"".to_vec(), b"sha256:".to_vec(), vec![0; 71], vec![0xff; 71]] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read(&path), Err(LinkError::Digest(_))));
        }
        fs::write(&path, "x".repeat(257)).unwrap();
        assert!(matches!(read(&path), Err(LinkError::Length(257))));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(LinkError::Unreadable(_))));
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(read(&pipe), Err(LinkError::Unreadable(_))));
    }
}
