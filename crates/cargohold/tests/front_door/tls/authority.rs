//! Somebody who signs certificates, and clients that trust it.

use std::{fs, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for `localhost`, and its key, in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn issue(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    /// A client that trusts this authority, and shows what it is told to, whatever the server wants to see.
    pub(super) fn client(&self, shows: Option<&Pair>) -> ClientConfig {
        let mut client = self.speaking(&[&TLS13, &TLS12]);
        if let Some(pair) = shows {
            client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair.certified()));
        }
        client
    }

    /// A client from before 2018.
    pub(super) fn old_client(&self) -> ClientConfig {
        self.speaking(&[&TLS12])
    }

    fn speaking(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

impl Pair {
    /// As operators do: each file is there whole or not at all.
    pub(super) fn write(&self, folder: &Path) {
        for (name, text) in [("tls.crt", &self.certificate), ("tls.key", &self.key)] {
            let unfinished = folder.join(format!("{name}.new"));
            fs::write(&unfinished, text).unwrap();
            fs::rename(unfinished, folder.join(name)).unwrap();
        }
    }

    pub(super) fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap().to_vec()
    }

    fn certified(&self) -> CertifiedKey {
        let chain = vec![CertificateDer::from(self.der())];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        CertifiedKey::new(chain, aws_lc_rs::sign::any_supported_type(&key).unwrap())
    }
}
