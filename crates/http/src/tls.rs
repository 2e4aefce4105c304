//! TLS on a port: which certificate is shown, who may connect, and how a handshake goes.
//!
//! [`Tls`] is made from files, says at once what is wrong with them, and takes over new ones while connections run: by being
//! told to ([`Tls::reload`]) or by looking at them every few seconds ([`Tls::watch`]). What cannot be used is said once, counted,
//! and changes nothing. Handshakes that run keep what they began with, so that no connection fails for a reload.
//!
//! Sessions are resumed without a new key exchange, by tickets that only this process can read. Where clients show certificates
//! they are not: a ticket would outlive the certificate that it was given for.

mod certificate;
mod client_auth;
mod files;
mod handshake;
mod suites;
mod validity;

use std::{
    error, fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
    server::NoServerSessionStorage,
};

pub use certificate::Certificate;
pub use client_auth::ClientAuth;
pub use suites::CIPHER_SUITES;

use crate::HttpMetrics;
use certificate::Shown;
use files::Stamps;

pub(crate) use handshake::Refused;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What TLS is to be.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// The file with the certificate, and those that lead from it to a root, in PEM: `http.tls.certificate`.
    pub certificate: Option<PathBuf>,
    /// The file with its private key, in PEM: `http.tls.key`.
    pub key: Option<PathBuf>,
    /// The oldest version that is spoken: `http.tls.minimumtls`.
    pub minimum: TlsVersion,
    /// The cipher suites of TLS 1.2, by Go's names; all that are safe if none is named: `http.tls.ciphersuites`.
    pub suites: Vec<String>,
    /// Files with certificates of those who sign the clients' certificates: `http.tls.clientcas`.
    pub client_cas: Vec<PathBuf>,
    /// What is asked of clients: `http.tls.clientauth`.
    pub client_auth: Option<ClientAuth>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// The TLS of one port.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    /// Offered by ALPN, what is liked best first.
    protocols: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
    shown: Arc<Shown>,
    config: RwLock<Arc<ServerConfig>>,
    watched: Mutex<Watched>,
    challenges: OnceLock<Arc<dyn Challenges>>,
    metrics: OnceLock<Arc<HttpMetrics>>,
    counters: Counters,
}

/// Who can prove to a certificate authority, by a handshake, that a name leads here (TLS-ALPN-01, RFC 8737).
pub trait Challenges: fmt::Debug + Send + Sync {
    /// What is to be shown to the authority that asks for this name; nothing if none is expected to.
    fn certificate(&self, name: String) -> Pin<Box<dyn Future<Output = Option<Certificate>> + Send + '_>>;
}

/// What is known of the files.
#[derive(Debug)]
struct Watched {
    stamps: Stamps,
    client_cas: Vec<CertificateDer<'static>>,
    /// What was last said to be wrong with them.
    complaint: Option<String>,
}

/// What the files say.
struct Loaded {
    certificate: Option<Certificate>,
    client_cas: Vec<CertificateDer<'static>>,
}

#[derive(Debug, Default)]
struct Counters {
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    handshakes: AtomicU64,
    failed_handshakes: AtomicU64,
    plain_requests: AtomicU64,
    challenges: AtomicU64,
}

/// How it goes: for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsStatus {
    /// When each certificate that is shown runs out, by the name that it is shown for; that of the file has an empty one.
    pub not_after: Vec<(String, SystemTime)>,
    /// How often new files were taken over.
    pub reloads: u64,
    /// How often new files could not be used.
    pub failed_reloads: u64,
    /// Handshakes that succeeded.
    pub handshakes: u64,
    /// Handshakes that did not, those that took too long included.
    pub failed_handshakes: u64,
    /// Requests of plain HTTP that were answered with advice.
    pub plain_requests: u64,
    /// Challenges of certificate authorities that were answered.
    pub challenges: u64,
}

/// What a reload came to.
#[derive(Debug)]
pub enum Reload {
    /// The files are those that are in use.
    Unchanged,
    /// They were read again and are used from now on.
    Done,
    /// They cannot be used: what was in use stays.
    Failed(TlsError),
}

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct TlsError {
    /// The setting.
    pub key: &'static str,
    /// The file that it names, if that is what is wrong.
    pub file: Option<PathBuf>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Tls {
    /// Reads what the settings name. Blocks. `http2` says whether HTTP/2 is offered beside HTTP/1.1.
    ///
    /// Without files there is no certificate until one is installed: handshakes fail.
    pub fn open(settings: TlsSettings, http2: bool) -> Result<Self, TlsError> {
        let provider = Arc::new(suites::provider(&settings.suites)?);
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let protocols: Vec<_> = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stamps = Stamps::of(&settings);
        let loaded = Loaded::read(&settings, &provider)?;
        let shown = Arc::new(Shown::default());
        shown.set_default(loaded.certificate);
        let config = configure(&settings, &protocols, &provider, &shown, &loaded.client_cas)?;
        let watched = Watched { stamps, client_cas: loaded.client_cas, complaint: None };
        Ok(Self {
            settings,
            protocols,
            provider,
            shown,
            config: RwLock::new(Arc::new(config)),
            watched: Mutex::new(watched),
            challenges: OnceLock::new(),
            metrics: OnceLock::new(),
            counters: Counters::default(),
        })
    }

    /// Reads the files again, and uses what they say from the next handshake on. Blocks.
    pub fn reload(&self) -> Reload {
        self.read_again(true)
    }

    /// Looks at the files every few seconds, and reads them again when they have changed. Never ends.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let tls = self.clone();
            // It may take long where files lie on another machine.
            if let Err(error) = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await {
                tracing::error!(%error, "looking at the TLS files broke off");
            }
        }
    }

    /// Shows this certificate to those who ask for `name` from the next handshake on; with `default`, to all others too.
    pub fn install(&self, name: &str, certificate: Certificate, default: bool) {
        if default {
            self.shown.set_default(Some(certificate.clone()));
        }
        self.shown.set(name, certificate);
        self.tell_loaded();
    }

    /// Has the certificates counted there, those that are shown already included.
    pub fn count_in(&self, metrics: Arc<HttpMetrics>) {
        let _ = self.metrics.set(metrics);
        self.tell_loaded();
    }

    /// Tells when the first of the certificates runs out.
    fn tell_loaded(&self) {
        let first = self.shown.not_after().into_iter().map(|(_, end)| end).min();
        let first = first.and_then(|end| jiff::Timestamp::try_from(end).ok());
        if let (Some(metrics), Some(end)) = (self.metrics.get(), first) {
            metrics.certificate.loaded(end.as_second());
        }
    }

    /// Has the challenges of certificate authorities answered. Once; later ones have no effect.
    pub fn answer_challenges(&self, challenges: Arc<dyn Challenges>) {
        let _ = self.challenges.set(challenges);
    }

    /// How it goes.
    pub fn status(&self) -> TlsStatus {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { reloads, failed_reloads, handshakes, failed_handshakes, plain_requests, challenges } =
            &self.counters;
        TlsStatus {
            not_after: self.shown.not_after(),
            reloads: of(reloads),
            failed_reloads: of(failed_reloads),
            handshakes: of(handshakes),
            failed_handshakes: of(failed_handshakes),
            plain_requests: of(plain_requests),
            challenges: of(challenges),
        }
    }

    fn reload_if_changed(&self) -> Reload {
        self.read_again(false)
    }

    fn read_again(&self, asked: bool) -> Reload {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // Before they are read: what changes meanwhile is seen the next time.
        let stamps = Stamps::of(&self.settings);
        if !asked && stamps == watched.stamps {
            return Reload::Unchanged;
        }
        watched.stamps = stamps;
        match self.take_over(&mut watched) {
            Ok(()) => {
                count(&self.counters.reloads);
                self.tell_loaded();
                watched.complaint = None;
                tracing::info!(not_after = %self.shown.told(), "the TLS files were read again");
                Reload::Done
            }
            Err(error) => {
                count(&self.counters.failed_reloads);
                if let Some(metrics) = self.metrics.get() {
                    metrics.certificate.not_loaded();
                }
                let complaint = error.to_string();
                if watched.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(%error, "the new TLS files cannot be used; those from before stay in use");
                    watched.complaint = Some(complaint);
                }
                Reload::Failed(error)
            }
        }
    }

    fn take_over(&self, watched: &mut Watched) -> Result<(), TlsError> {
        let loaded = Loaded::read(&self.settings, &self.provider)?;
        if loaded.client_cas != watched.client_cas {
            let config = configure(&self.settings, &self.protocols, &self.provider, &self.shown, &loaded.client_cas)?;
            *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            watched.client_cas = loaded.client_cas;
        }
        if loaded.certificate.is_some() {
            self.shown.set_default(loaded.certificate);
        }
        Ok(())
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Loaded {
    fn read(settings: &TlsSettings, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let certificate = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => Some(files::pair(certificate, key, provider)?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(TlsError::of(
                    files::KEY,
                    "is missing: the certificate in http.tls.certificate needs its key",
                ));
            }
            (None, Some(_)) => {
                return Err(TlsError::of(
                    files::CERTIFICATE,
                    "is missing: the key in http.tls.key needs its certificate",
                ));
            }
        };
        Ok(Self { certificate, client_cas: files::client_cas(&settings.client_cas)? })
    }
}

impl TlsError {
    fn of(key: &'static str, reason: impl Into<String>) -> Self {
        Self { key, file: None, reason: reason.into() }
    }

    fn in_file(key: &'static str, file: &Path, reason: impl Into<String>) -> Self {
        Self { key, file: Some(file.to_owned()), reason: reason.into() }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, file, reason } = self;
        match file {
            Some(file) => write!(formatter, "{key}: {} {reason}", file.display()),
            None => write!(formatter, "{key}: {reason}"),
        }
    }
}

impl error::Error for TlsError {}

/// What rustls goes by.
fn configure(
    settings: &TlsSettings,
    protocols: &[Vec<u8>],
    provider: &Arc<CryptoProvider>,
    shown: &Arc<Shown>,
    client_cas: &[CertificateDer<'static>],
) -> Result<ServerConfig, TlsError> {
    let versions = match settings.minimum {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::of(suites::KEY, error.to_string()))?;
    let verifier = client_auth::verifier(settings.client_auth, client_cas, provider)?;
    let asks_clients = verifier.is_some();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(shown.clone());
    config.alpn_protocols = protocols.to_vec();
    // Tickets are kept by the clients: a crowd of them takes no memory here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if asks_clients {
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = aws_lc_rs::Ticketer::new()
            .map_err(|error| TlsError::of(files::KEY, format!("this machine has no random numbers: {error}")))?;
    }
    Ok(config)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
pub(crate) mod tests;
