//! Certificates from an authority that hands them out by itself: ACME (RFC 8555), as Let's Encrypt speaks it.
//!
//! One certificate a host, got when there is none, and renewed when a third of its life is left. The proof that a host leads here
//! is given on the TLS port itself (TLS-ALPN-01, RFC 8737) or, if one is named for it, on a port of plain HTTP (HTTP-01); where
//! both are possible the next try takes the other one. What fails is tried again, less and less often, while the certificate
//! from before is shown. Until there is a first one handshakes are refused: one signed by ourselves would be refused by every
//! client anyhow, or teach people to look away.
//!
//! Everything that outlives a start is in the database ([`store`]): whichever process is asked can give the proof.

mod order;
mod proofs;
mod store;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use cargohold_http::{Tls, tls::Certificate};
use cargohold_metadata::Metadata;

pub(crate) use proofs::{Proofs, serve_proofs};

use store::{Issued, Store};

/// The directory of Let's Encrypt, for certificates that everybody trusts.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// How long after a first failure the next try comes; after each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The longest of these pauses.
const LAST_PAUSE: Duration = Duration::from_hours(6);
/// How long a try may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long nothing is looked at, at most: clocks are set, and machines sleep.
const LOOK: Duration = Duration::from_hours(1);

/// How certificates are got.
#[derive(Clone, Debug)]
pub(crate) struct AcmeSettings {
    /// Whom the authority writes to: `http.tls.letsencrypt.email`.
    pub(crate) email: Option<String>,
    /// What certificates are wanted for: `http.tls.letsencrypt.hosts`.
    pub(crate) hosts: Vec<String>,
    /// The authority: `http.tls.letsencrypt.directoryurl`.
    pub(crate) directory_url: String,
    /// Who signs the authority's own certificate, if that is not one that this machine trusts:
    /// `http.tls.letsencrypt.directoryca`.
    pub(crate) directory_ca: Option<PathBuf>,
    /// Where proofs by plain HTTP are given; the host's port 80 has to lead there: `http.tls.letsencrypt.httpaddr`.
    pub(crate) http_addr: Option<SocketAddr>,
    /// Which of the authority's kinds of certificates: `http.tls.letsencrypt.profile`.
    pub(crate) profile: Option<String>,
    /// Where the CNCF registry keeps what it got; nothing is kept there.
    pub(crate) cache_file: Option<PathBuf>,
}

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            email: None,
            hosts: Vec::new(),
            directory_url: LETS_ENCRYPT.to_owned(),
            directory_ca: None,
            http_addr: None,
            profile: None,
            cache_file: None,
        }
    }
}

/// Gets certificates, and has them shown.
pub(crate) struct Acme {
    settings: AcmeSettings,
    store: Store,
    tls: Arc<Tls>,
    clock: fn() -> SystemTime,
}

/// When a host's turn comes, and how it went before.
#[derive(Clone, Copy, Debug)]
struct Turn {
    at: SystemTime,
    failures: u32,
}

impl Acme {
    /// With what was got before, which is shown from now on.
    pub(crate) async fn begin(
        settings: AcmeSettings,
        facts: Metadata,
        tls: Arc<Tls>,
        clock: fn() -> SystemTime,
    ) -> anyhow::Result<(Self, Arc<Proofs>)> {
        let store = Store::new(facts, settings.directory_url.clone());
        let proofs = Arc::new(Proofs::new(store.clone(), settings.hosts.clone()));
        tls.answer_challenges(proofs.clone());
        let acme = Self { settings, store, tls, clock };
        for host in &acme.settings.hosts {
            if let Some(issued) = acme.store.certificate(host).await? {
                match issued.read() {
                    Ok(certificate) => acme.show(host, certificate),
                    Err(why) => tracing::error!(host, why, "the certificate in the database cannot be used"),
                }
            }
        }
        Ok((acme, proofs))
    }

    /// Gets what is missing and renews what runs out. Never ends.
    pub(crate) async fn run(self) {
        let mut turns = BTreeMap::new();
        for host in &self.settings.hosts {
            turns.insert(host.clone(), Turn { at: self.due(host).await, failures: 0 });
        }
        loop {
            for (host, turn) in &mut turns {
                if turn.at <= (self.clock)() {
                    *turn = self.take(host, *turn).await;
                }
            }
            let next = turns.values().map(|turn| turn.at).min();
            let pause = next.and_then(|at| at.duration_since((self.clock)()).ok()).unwrap_or_default();
            tokio::time::sleep(pause.clamp(Duration::from_millis(100), LOOK)).await;
        }
    }

    /// Tries to get a certificate; answers when the next try is due.
    async fn take(&self, host: &str, turn: Turn) -> Turn {
        let obtained = tokio::time::timeout(PATIENCE, self.obtain(host, turn.failures)).await;
        match obtained.map_err(anyhow::Error::new).flatten() {
            Ok(certificate) => {
                let at = renewal(&certificate);
                tracing::info!(host, not_after = %told(certificate.not_after()), "got a certificate");
                self.show(host, certificate);
                Turn { at, failures: 0 }
            }
            Err(error) => {
                let failures = turn.failures.saturating_add(1);
                let pause = pause_after(failures);
                tracing::error!(host, ?pause, "could not get a certificate, trying again: {error:#}");
                Turn { at: (self.clock)() + pause, failures }
            }
        }
    }

    async fn obtain(&self, host: &str, failures: u32) -> anyhow::Result<Certificate> {
        let issued = order::place(&self.settings, &self.store, host, failures).await?;
        let certificate = issued.read().map_err(|why| anyhow::anyhow!("the authority's certificate {why}"))?;
        self.store.put_certificate(host, &issued).await?;
        Ok(certificate)
    }

    /// When the certificate that is there has to be renewed: now, if there is none of this authority.
    async fn due(&self, host: &str) -> SystemTime {
        let now = (self.clock)();
        match self.store.certificate(host).await {
            Ok(Some(issued)) if issued.directory == self.settings.directory_url => {
                issued.read().map_or(now, |certificate| renewal(&certificate))
            }
            _ => now,
        }
    }

    fn show(&self, host: &str, certificate: Certificate) {
        let first = self.settings.hosts.first().is_some_and(|first| first == host);
        self.tls.install(host, certificate, first);
    }
}

impl Issued {
    fn read(&self) -> Result<Certificate, String> {
        Certificate::from_pem(self.certificate.as_bytes(), self.key.as_bytes())
    }
}

/// When a third of its life is left.
fn renewal(certificate: &Certificate) -> SystemTime {
    let life = certificate.not_after().duration_since(certificate.not_before()).unwrap_or_default();
    certificate.not_after() - life / 3
}

fn pause_after(failures: u32) -> Duration {
    2_u32
        .checked_pow(failures.saturating_sub(1))
        .map_or(LAST_PAUSE, |times| FIRST_PAUSE.saturating_mul(times))
        .min(LAST_PAUSE)
}

fn told(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "-".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let pauses: Vec<_> = (1..5).map(|failures| pause_after(failures).as_secs()).collect();
        assert_eq!(pauses, [60, 120, 240, 480]);
        assert_eq!(pause_after(40), LAST_PAUSE);
        assert_eq!(pause_after(u32::MAX), LAST_PAUSE);
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let certificate = Certificate::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        assert_eq!(told(renewal(&certificate)), "2026-01-21T00:00:00Z");
    }
}
