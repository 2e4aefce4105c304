//! Somebody who signs certificates, clients that trust it, and servers that show what it signed.

use std::{fs, net::TcpStream, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for `localhost`, and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn issue(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    /// A client that trusts this authority, and shows what it is told to, whatever the server wants to see.
    pub(crate) fn client(&self, shows: Option<&Pair>) -> ClientConfig {
        let mut client = self.speaking(&[&TLS13, &TLS12]);
        if let Some(pair) = shows {
            client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair.certified()));
        }
        client
    }

    /// A client from before 2018.
    pub(crate) fn old_client(&self) -> ClientConfig {
        self.speaking(&[&TLS12])
    }

    /// A server that shows what this authority signs, and wants to be shown the same if it is wary.
    pub(crate) fn server(&self, is_wary: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let server =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let server = if is_wary {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider);
            server.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            server.with_no_client_auth()
        };
        Arc::new(server.with_cert_resolver(Arc::new(SingleCertAndKey::from(self.issue().certified()))))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    fn speaking(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth()
    }
}

impl Pair {
    /// As operators do: each file is there whole or not at all.
    pub(crate) fn write(&self, folder: &Path) {
        for (name, text) in [("tls.crt", &self.certificate), ("tls.key", &self.key)] {
            let unfinished = folder.join(format!("{name}.new"));
            fs::write(&unfinished, text).unwrap();
            fs::rename(unfinished, folder.join(name)).unwrap();
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap().to_vec()
    }

    fn certified(&self) -> CertifiedKey {
        let chain = vec![CertificateDer::from(self.der())];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        CertifiedKey::new(chain, aws_lc_rs::sign::any_supported_type(&key).unwrap())
    }
}

/// The server's end of a connection.
pub(crate) fn secured(stream: TcpStream, server: &Arc<ServerConfig>) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(server.clone()).unwrap(), stream)
}
