//! Certificates with their keys, and which of them a client is shown.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use rustls::{
    InconsistentKeys,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::validity;

/// A certificate with those that lead to its root, and its private key.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// What can be wrong with a certificate and a key, and with which of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Certificate(String),
    Key(String),
}

/// What clients are shown: a certificate for the name that they ask for, or the one for all others.
#[derive(Debug, Default)]
pub(super) struct Shown(RwLock<Certificates>);

#[derive(Debug, Default)]
struct Certificates {
    default: Option<Certificate>,
    by_name: BTreeMap<String, Certificate>,
}

impl Certificate {
    /// Out of two texts in PEM: the certificate followed by those that lead to its root, and the key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        Self::read(certificate, key, &aws_lc_rs::default_provider())
            .map_err(|(Unfit::Certificate(reason) | Unfit::Key(reason))| reason)
    }

    pub(super) fn read(certificate: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Self, Unfit> {
        let chain = chain(certificate).map_err(Unfit::Certificate)?;
        let first = chain.first().ok_or_else(|| Unfit::Certificate(NO_CERTIFICATE.to_owned()))?;
        let validity = validity::of(first)
            .ok_or_else(|| Unfit::Certificate("has something in it that is no certificate (X.509)".to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unfit::Key(NO_KEY.to_owned()))?;
        let unusable = |error| Unfit::Key(format!("has a key that cannot be used: {error}"));
        let key = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).map_err(unusable)?);
        match key.keys_match() {
            // What is too odd to be looked into can be shown all the same: old certificates, and proofs for an authority, which
            // have an extension that nobody else may overlook (RFC 8737 §3).
            Ok(())
            | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown) | rustls::Error::InvalidCertificate(_)) => {
            }
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                return Err(Unfit::Key("has another key than the one that the certificate was made for".to_owned()));
            }
            Err(error) => return Err(unusable(error)),
        }
        Ok(Self { key: Arc::new(key), not_before: validity.start, not_after: validity.end })
    }

    /// When it begins to be valid.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When it runs out.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }
}

const NO_CERTIFICATE: &str = "has no certificate in it: it takes PEM, with a line -----BEGIN CERTIFICATE-----";
const NO_KEY: &str = "has no private key in it that can be read: it takes PEM, with a line -----BEGIN PRIVATE KEY-----; one with \
                      a password (ENCRYPTED) has to be decrypted first";

/// The certificates in a text in PEM.
pub(super) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| format!("is not PEM: {error}"))
}

impl Shown {
    /// Shows this to whoever asks for a name that has none of its own.
    pub(super) fn set_default(&self, certificate: Option<Certificate>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).default = certificate;
    }

    /// Shows this to whoever asks for that name.
    pub(super) fn set(&self, name: &str, certificate: Certificate) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).by_name.insert(name.to_ascii_lowercase(), certificate);
    }

    /// When they run out.
    pub(super) fn not_after(&self) -> Vec<(String, SystemTime)> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let named = shown.by_name.iter().map(|(name, it)| (name.clone(), it.not_after));
        // One of those with a name may be shown to all others as well.
        let default = shown.default.iter().filter(|_| shown.by_name.is_empty());
        default.map(|certificate| (String::new(), certificate.not_after)).chain(named).collect()
    }

    /// When the first of them runs out, for people.
    pub(super) fn told(&self) -> String {
        let first = self.not_after().into_iter().map(|(_, end)| end).min();
        let first = first.and_then(|end| jiff::Timestamp::try_from(end).ok());
        first.map_or_else(|| "-".to_owned(), |end| end.to_string())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let named = hello.server_name().and_then(|name| shown.by_name.get(&name.to_ascii_lowercase()));
        named.or(shown.default.as_ref()).map(Certificate::key)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Certificate").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair};

    use super::*;

    #[test]
    fn a_proof_with_its_critical_extension_can_be_shown() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
        let pem = params.self_signed(&key).unwrap().pem();
        assert!(Certificate::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).is_ok());
    }
}
