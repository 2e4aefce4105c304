//! What ACME keeps in the database: the account, the certificates, and the proofs that are expected right now.
//!
//! Private keys are among it: whoever reads the database, or a backup of it, has them.

use cargohold_metadata::{Error, Metadata, PutSetting, RemoveSetting, SettingName};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const FAMILY: &str = "acme";

/// The part of the database that is about ACME.
#[derive(Clone, Debug)]
pub(super) struct Store {
    facts: Metadata,
    directory: String,
}

/// A certificate, as it was got.
#[derive(Serialize, Deserialize)]
pub(super) struct Issued {
    /// Followed by those that lead to a root, in PEM.
    pub(super) certificate: String,
    /// In PEM.
    pub(super) key: String,
    /// The authority that it is from.
    pub(super) directory: String,
}

/// What the authority is to find by plain HTTP.
#[derive(Serialize, Deserialize)]
pub(super) struct HttpProof {
    pub(super) token: String,
    pub(super) answer: String,
}

/// What the authority is to be shown by TLS: a certificate and its key, in PEM.
#[derive(Serialize, Deserialize)]
pub(super) struct TlsProof {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Store {
    pub(super) fn new(facts: Metadata, directory: String) -> Self {
        Self { facts, directory }
    }

    pub(super) async fn account<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.read(&self.of_account()).await
    }

    pub(super) async fn put_account(&self, credentials: &impl Serialize) -> Result<(), Error> {
        self.put(self.of_account(), credentials).await
    }

    /// For an account that the authority does not know any more.
    pub(super) async fn forget_account(&self) -> Result<(), Error> {
        self.forget(self.of_account()).await
    }

    pub(super) async fn certificate(&self, host: &str) -> Result<Option<Issued>, Error> {
        self.read(&of_certificate(host)).await
    }

    pub(super) async fn put_certificate(&self, host: &str, issued: &Issued) -> Result<(), Error> {
        self.put(of_certificate(host), issued).await
    }

    pub(super) async fn http_proof(&self, host: &str) -> Result<Option<HttpProof>, Error> {
        self.read(&of_proof("http", host)).await
    }

    pub(super) async fn put_http_proof(&self, host: &str, proof: &HttpProof) -> Result<(), Error> {
        self.put(of_proof("http", host), proof).await
    }

    pub(super) async fn tls_proof(&self, host: &str) -> Result<Option<TlsProof>, Error> {
        self.read(&of_proof("tls", host)).await
    }

    pub(super) async fn put_tls_proof(&self, host: &str, proof: &TlsProof) -> Result<(), Error> {
        self.put(of_proof("tls", host), proof).await
    }

    /// Nothing is expected for this host any more.
    pub(super) async fn forget_proofs(&self, host: &str) -> Result<(), Error> {
        self.forget(of_proof("http", host)).await?;
        self.forget(of_proof("tls", host)).await
    }

    /// Each authority has its accounts.
    fn of_account(&self) -> SettingName {
        SettingName::new(FAMILY, &format!("account/{}", self.directory))
    }

    /// What cannot be read is as good as absent.
    async fn read<T: DeserializeOwned>(&self, name: &SettingName) -> Result<Option<T>, Error> {
        Ok(self.facts.setting(name).await?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    async fn put(&self, name: SettingName, value: &impl Serialize) -> Result<(), Error> {
        let value = serde_json::to_string(value).expect("texts alone can be written as JSON");
        self.facts.run(PutSetting { name, value }).await
    }

    async fn forget(&self, name: SettingName) -> Result<(), Error> {
        self.facts.run(RemoveSetting { name }).await
    }
}

fn of_certificate(host: &str) -> SettingName {
    SettingName::new(FAMILY, &format!("certificate/{host}"))
}

fn of_proof(way: &str, host: &str) -> SettingName {
    SettingName::new(FAMILY, &format!("proof/{way}/{host}"))
}
