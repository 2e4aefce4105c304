//! Somebody who signs certificates for this machine, for the length of a run.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};

/// An authority, whose own certificate lies in a file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its key, each in a file.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Makes one, with all of its files in `folder`, which is there.
    pub(crate) fn new(folder: PathBuf) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Cargohold's end-to-end suite");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(folder.join("ca.crt"), issuer.pem())?;
        Ok(Self { issuer, folder })
    }

    /// The file with its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A folder with nothing but that, as `ca.crt`: what engines call a directory of certificates.
    pub(crate) fn certificates(&self) -> Result<PathBuf> {
        let folder = self.folder.join("trusted");
        fs::create_dir_all(&folder)?;
        fs::copy(self.certificate(), folder.join("ca.crt"))?;
        Ok(folder)
    }

    /// A certificate for `localhost` and 127.0.0.1, in files that are called so.
    pub(crate) fn issue(&self, name: &str) -> Result<Pair> {
        self.issue_for(name, Ipv4Addr::LOCALHOST)
    }

    /// A certificate for `localhost` and an address, in files that are called so.
    pub(crate) fn issue_for(&self, name: &str, address: Ipv4Addr) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(address)));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let pair = Pair { certificate: self.file(name, "crt"), key: self.file(name, "key") };
        fs::write(&pair.certificate, params.signed_by(&key, &self.issuer)?.pem())?;
        fs::write(&pair.key, key.serialize_pem())?;
        Ok(pair)
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        Path::new(&self.folder).join(format!("{name}.{kind}"))
    }
}
