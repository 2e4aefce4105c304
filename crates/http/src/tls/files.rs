//! The files that TLS is made from: what is in them, and whether they are still the ones that were read.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustls::{RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer};

use super::{
    Certificate, TlsError, TlsSettings,
    certificate::{self, Unfit},
};

pub(super) const CERTIFICATE: &str = "http.tls.certificate";
pub(super) const KEY: &str = "http.tls.key";
pub(super) const CLIENT_CAS: &str = "http.tls.clientcas";

/// What tells the files of one moment from those of another: where each leads, links followed, and when that was changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamps {
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let TlsSettings { certificate, key, client_cas, .. } = settings;
        Self(certificate.iter().chain(key).chain(client_cas).map(|path| Stamp::of(path)).collect())
    }
}

impl Stamp {
    /// None if there is no such file.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            file: (found.dev(), found.ino()),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// The certificate in one file and its key in the other.
pub(super) fn pair(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<Certificate, TlsError> {
    let texts = (read(CERTIFICATE, certificate)?, read(KEY, key)?);
    Certificate::read(&texts.0, &texts.1, provider).map_err(|unfit| match unfit {
        Unfit::Certificate(reason) => TlsError::in_file(CERTIFICATE, certificate, reason),
        Unfit::Key(reason) => TlsError::in_file(KEY, key, reason),
    })
}

/// All that sign the clients' certificates.
pub(super) fn client_cas(files: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut all = Vec::new();
    for file in files {
        let unfit = |reason: String| TlsError::in_file(CLIENT_CAS, file, reason);
        let found = certificate::chain(&read(CLIENT_CAS, file)?).map_err(unfit)?;
        if found.is_empty() {
            return Err(unfit(
                "has no certificate in it: it takes PEM, with a line -----BEGIN CERTIFICATE-----".into(),
            ));
        }
        // Said here, where the file is known.
        for certificate in &found {
            let mut roots = RootCertStore::empty();
            roots
                .add(certificate.clone())
                .map_err(|error| unfit(format!("has a certificate that cannot be used: {error}")))?;
        }
        all.extend(found);
    }
    Ok(all)
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|error| TlsError::in_file(key, file, format!("cannot be read: {error}")))
}
