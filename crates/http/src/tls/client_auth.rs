//! What clients have to show: the four ways of Go's `tls.ClientAuthType`, by the names that the inherited configuration has.
//!
//! A certificate that is shown is always proved to be the client's own, by a signature. What is stricter here than in Go: a
//! certificate has to be of X.509 version 3 and must not be one that signs others.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{TlsError, files};

const KEY: &str = "http.tls.clientauth";

/// What is asked of clients, and what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are asked for a certificate; any will do, and none.
    Request,
    /// They have to show a certificate, whoever signed it.
    RequireAny,
    /// If they show one, one of `http.tls.clientcas` must have signed it.
    VerifyIfGiven,
    /// They have to show one that one of `http.tls.clientcas` signed.
    RequireAndVerify,
}

/// Takes any certificate.
#[derive(Debug)]
struct Anybody {
    required: bool,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientAuth {
    /// All of them, by their names in the configuration.
    pub const ALL: [(&'static str, Self); 4] = [
        ("request-client-cert", Self::Request),
        ("require-any-client-cert", Self::RequireAny),
        ("verify-client-cert-if-given", Self::VerifyIfGiven),
        ("require-and-verify-client-cert", Self::RequireAndVerify),
    ];
}

/// What rustls asks; none if clients are not asked for anything.
pub(super) fn verifier(
    asked: Option<ClientAuth>,
    cas: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(asked) = asked.or((!cas.is_empty()).then_some(ClientAuth::RequireAndVerify)) else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.clone()).map_err(|error| TlsError::of(files::CLIENT_CAS, error.to_string()))?;
    }
    let required = match asked {
        ClientAuth::Request | ClientAuth::RequireAny => {
            let required = asked == ClientAuth::RequireAny;
            let algorithms = provider.signature_verification_algorithms;
            return Ok(Some(Arc::new(Anybody { required, hints: roots.subjects(), algorithms })));
        }
        ClientAuth::VerifyIfGiven => false,
        ClientAuth::RequireAndVerify => true,
    };
    if roots.is_empty() {
        return Err(TlsError::of(
            KEY,
            "certificates of clients cannot be verified without those who sign them: name their files in http.tls.clientcas",
        ));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map(Some).map_err(|error| TlsError::of(files::CLIENT_CAS, error.to_string()))
}

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
