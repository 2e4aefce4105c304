use std::{fs, io, os::unix::fs::symlink};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    pki_types::{PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// Somebody who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for `localhost`, and its key, in PEM.
#[derive(Debug)]
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

    /// What a client goes by that trusts this authority, and shows `pair`.
    pub(crate) fn client(&self, shows: Option<&Pair>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let Some(Pair { certificate, key }) = shows else { return builder.with_no_client_auth() };
        let chain = certificate::chain(certificate.as_bytes()).unwrap();
        builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
    }
}

impl Pair {
    /// Writes it where the settings say.
    pub(crate) fn write(&self, settings: &TlsSettings) {
        fs::write(settings.certificate.as_ref().unwrap(), &self.certificate).unwrap();
        fs::write(settings.key.as_ref().unwrap(), &self.key).unwrap();
    }
}

/// Settings whose files are in a folder.
pub(crate) fn settings(folder: &TempDir) -> TlsSettings {
    let in_folder = |name| Some(folder.path().join(name));
    TlsSettings { certificate: in_folder("tls.crt"), key: in_folder("tls.key"), ..TlsSettings::default() }
}

/// A folder with a pair in it, and the settings for that.
pub(crate) fn prepared(authority: &Authority) -> (TempDir, TlsSettings) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    authority.issue().write(&settings);
    (folder, settings)
}

fn localhost() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

/// A handshake, and a byte each way.
async fn meet(tls: &Tls, client: ClientConfig) -> io::Result<TlsStream<DuplexStream>> {
    meet_by(tls, &TlsConnector::from(Arc::new(client))).await
}

async fn meet_by(tls: &Tls, connector: &TlsConnector) -> io::Result<TlsStream<DuplexStream>> {
    let (ours, theirs) = duplex(64 * 1024);
    let server = async {
        let mut stream = match tls.accept(ours).await {
            Ok(stream) => stream,
            Err(Refused::Failed(error)) => return Err(error),
            Err(Refused::Plain(_) | Refused::Challenge) => panic!("a client of TLS is taken for another"),
        };
        let byte = stream.read_u8().await?;
        stream.write_u8(byte + 1).await?;
        stream.flush().await
    };
    let client = async {
        let mut stream = connector.connect(localhost(), theirs).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        assert_eq!(stream.read_u8().await?, 8);
        io::Result::Ok(stream)
    };
    let (server, client) = tokio::join!(server, client);
    server.and(client)
}

#[tokio::test]
async fn the_certificate_of_the_files_is_shown() {
    let authority = Authority::named("here");
    let (_folder, settings) = prepared(&authority);
    let tls = Tls::open(settings, true).unwrap();
    meet(&tls, authority.client(None)).await.unwrap();
    assert!(meet(&tls, Authority::named("elsewhere").client(None)).await.is_err());
    let status = tls.status();
    assert_eq!((status.handshakes, status.failed_handshakes), (1, 1), "{status:?}");
    assert_eq!(status.not_after.len(), 1);
    assert!(status.not_after[0].1 > SystemTime::UNIX_EPOCH);
}

#[tokio::test]
async fn http_2_is_offered_unless_it_is_switched_off() {
    let authority = Authority::named("here");
    let (_folder, settings) = prepared(&authority);
    for (http2, spoken) in [(true, "h2"), (false, "http/1.1")] {
        let tls = Tls::open(settings.clone(), http2).unwrap();
        let mut client = authority.client(None);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = meet(&tls, client).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(spoken.as_bytes()));
    }
}

#[tokio::test]
async fn a_session_is_resumed_unless_clients_show_certificates() {
    let authority = Authority::named("here");
    let (folder, settings) = prepared(&authority);
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, authority.pem()).unwrap();
    for (client_cas, resumed) in [(vec![], HandshakeKind::Resumed), (vec![ca], HandshakeKind::Full)] {
        let tls = Tls::open(TlsSettings { client_cas, ..settings.clone() }, true).unwrap();
        let client = TlsConnector::from(Arc::new(authority.client(Some(&authority.issue()))));
        meet_by(&tls, &client).await.unwrap();
        let again = meet_by(&tls, &client).await.unwrap();
        assert_eq!(again.get_ref().1.handshake_kind(), Some(resumed));
    }
}

#[tokio::test]
async fn an_old_version_is_spoken_only_if_it_may_be() {
    let authority = Authority::named("here");
    let (_folder, settings) = prepared(&authority);
    let old = || {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    };
    let tls = Tls::open(settings.clone(), true).unwrap();
    meet(&tls, old()).await.unwrap();
    let tls = Tls::open(TlsSettings { minimum: TlsVersion::Tls13, ..settings }, true).unwrap();
    assert!(meet(&tls, old()).await.is_err());
    meet(&tls, authority.client(None)).await.unwrap();
}

/// Each mode with no certificate, with one of a stranger, and with one of the authority: whether it is let in.
#[tokio::test]
async fn clients_are_asked_as_each_mode_says() {
    let (authority, stranger) = (Authority::named("here"), Authority::named("elsewhere"));
    let (folder, settings) = prepared(&authority);
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, authority.pem()).unwrap();
    let (known, unknown) = (authority.issue(), stranger.issue());
    for (mode, let_in) in [
        (Some(ClientAuth::Request), [true, true, true]),
        (Some(ClientAuth::RequireAny), [false, true, true]),
        (Some(ClientAuth::VerifyIfGiven), [true, false, true]),
        (Some(ClientAuth::RequireAndVerify), [false, false, true]),
        (None, [false, false, true]),
    ] {
        let tls = Tls::open(TlsSettings { client_cas: vec![ca.clone()], client_auth: mode, ..settings.clone() }, true)
            .unwrap();
        for (shown, let_in) in [None, Some(&unknown), Some(&known)].into_iter().zip(let_in) {
            // A client that is told who may sign shows nothing else: this one shows what it has, whatever it is told.
            let mut client = authority.client(None);
            if let Some(Pair { certificate, key }) = shown {
                let chain = certificate::chain(certificate.as_bytes()).unwrap();
                let key = aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap());
                let key = rustls::sign::CertifiedKey::new(chain, key.unwrap());
                client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
            }
            let met = meet(&tls, client).await;
            assert_eq!(met.is_ok(), let_in, "{mode:?} with {}: {met:?}", shown.map_or("nothing", |it| &it.certificate));
        }
    }
}

#[test]
fn clients_cannot_be_verified_without_those_who_sign() {
    let (_folder, settings) = prepared(&Authority::named("here"));
    let settings = TlsSettings { client_auth: Some(ClientAuth::RequireAndVerify), ..settings };
    assert_eq!(Tls::open(settings, true).unwrap_err().key, "http.tls.clientauth");
}

#[test]
fn what_is_wrong_at_the_start_is_named() {
    let authority = Authority::named("here");
    let (folder, good) = prepared(&authority);
    let wrong = |change: &dyn Fn(&TlsSettings)| {
        authority.issue().write(&good);
        change(&good);
        Tls::open(good.clone(), true).unwrap_err()
    };
    let (certificate, key) = (good.certificate.clone().unwrap(), good.key.clone().unwrap());
    let other = wrong(&|_| fs::write(&key, authority.issue().key).unwrap());
    assert_eq!((other.key, other.file.as_ref()), ("http.tls.key", Some(&key)));
    assert!(other.reason.contains("another key"), "{other}");
    let missing = wrong(&|_| fs::remove_file(&key).unwrap());
    assert_eq!((missing.key, missing.file), ("http.tls.key", Some(key.clone())));
    let empty = wrong(&|_| fs::write(&certificate, "").unwrap());
    assert_eq!((empty.key, empty.file), ("http.tls.certificate", Some(certificate.clone())));
    let swapped = wrong(&|_| fs::write(&key, &authority.issue().certificate).unwrap());
    assert!(swapped.reason.contains("no private key"), "{swapped}");
    let broken = wrong(&|_| {
        fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    });
    assert!(broken.to_string().starts_with("http.tls.certificate: /"), "{broken}");
    authority.issue().write(&good);
    let cas = folder.path().join("cas");
    fs::write(&cas, "nothing").unwrap();
    let no_ca = Tls::open(TlsSettings { client_cas: vec![cas.clone()], ..good.clone() }, true).unwrap_err();
    assert_eq!((no_ca.key, no_ca.file), ("http.tls.clientcas", Some(cas)));
    let half = Tls::open(TlsSettings { key: None, ..good }, true).unwrap_err();
    assert_eq!(half.key, "http.tls.key");
}

#[tokio::test]
async fn new_files_are_taken_over_and_bad_ones_are_not() {
    let (old, new) = (Authority::named("old"), Authority::named("new"));
    let (_folder, settings) = prepared(&old);
    let tls = Tls::open(settings.clone(), true).unwrap();
    assert!(matches!(tls.reload_if_changed(), Reload::Unchanged));

    fs::write(settings.key.as_ref().unwrap(), new.issue().key).unwrap();
    assert!(matches!(tls.reload_if_changed(), Reload::Failed(_)));
    assert!(matches!(tls.reload_if_changed(), Reload::Unchanged), "it is not tried again until something changes");
    meet(&tls, old.client(None)).await.unwrap();

    new.issue().write(&settings);
    assert!(matches!(tls.reload_if_changed(), Reload::Done));
    meet(&tls, new.client(None)).await.unwrap();
    assert!(meet(&tls, old.client(None)).await.is_err());
    let status = tls.status();
    assert_eq!((status.reloads, status.failed_reloads), (1, 1));
    assert!(matches!(tls.reload(), Reload::Done), "whoever asks has them read");
}

/// Kubernetes changes all files of a volume at once: the folder that a link leads to.
#[tokio::test]
async fn a_link_that_leads_elsewhere_is_noticed() {
    let (old, new) = (Authority::named("old"), Authority::named("new"));
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for (name, authority) in [("..1", &old), ("..2", &new)] {
        fs::create_dir(at(name)).unwrap();
        let pair = authority.issue();
        fs::write(at(name).join("tls.crt"), pair.certificate).unwrap();
        fs::write(at(name).join("tls.key"), pair.key).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), at(name)).unwrap();
    }
    let tls = Tls::open(self::settings(&folder), true).unwrap();
    meet(&tls, old.client(None)).await.unwrap();
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert!(matches!(tls.reload_if_changed(), Reload::Done));
    meet(&tls, new.client(None)).await.unwrap();
}

#[tokio::test]
async fn those_who_sign_clients_certificates_can_change() {
    let (old, new) = (Authority::named("old"), Authority::named("new"));
    let (folder, settings) = prepared(&old);
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, old.pem()).unwrap();
    let tls = Tls::open(TlsSettings { client_cas: vec![ca.clone()], ..settings }, true).unwrap();
    let (of_old, of_new) = (old.issue(), new.issue());
    meet(&tls, old.client(Some(&of_old))).await.unwrap();
    fs::write(&ca, new.pem()).unwrap();
    assert!(matches!(tls.reload_if_changed(), Reload::Done));
    assert!(meet(&tls, old.client(Some(&of_old))).await.is_err());
    meet(&tls, old.client(Some(&of_new))).await.unwrap();
}

#[tokio::test]
async fn a_request_without_tls_is_recognised() {
    let (_folder, settings) = prepared(&Authority::named("here"));
    let tls = Tls::open(settings, true).unwrap();
    for request in ["GET /v2/ HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let (ours, mut theirs) = duplex(1024);
        theirs.write_all(request.as_bytes()).await.unwrap();
        assert!(matches!(tls.accept(ours).await, Err(Refused::Plain(_))));
    }
    let (ours, mut theirs) = duplex(1024);
    theirs.write_all(b"\x16nonsense that is no handshake at all").await.unwrap();
    assert!(matches!(tls.accept(ours).await, Err(Refused::Failed(_))));
    let mut alert = [0];
    theirs.read_exact(&mut alert).await.unwrap();
    assert_eq!(alert, [21], "an alert of TLS");
    let status = tls.status();
    assert_eq!((status.plain_requests, status.failed_handshakes), (2, 1));
}

#[derive(Debug)]
struct Proof(Pair);

impl Challenges for Proof {
    fn certificate(&self, name: String) -> Pin<Box<dyn Future<Output = Option<Certificate>> + Send + '_>> {
        let shown = Certificate::from_pem(self.0.certificate.as_bytes(), self.0.key.as_bytes()).unwrap();
        Box::pin(async move { (name == "localhost").then_some(shown) })
    }
}

#[tokio::test]
async fn a_certificate_authority_is_shown_its_proof_and_nothing_else() {
    let (authority, proof) = (Authority::named("here"), Authority::named("proof"));
    let (_folder, settings) = prepared(&authority);
    let tls = Tls::open(settings, true).unwrap();
    let ask = async |tls: &Tls| {
        let (ours, theirs) = duplex(64 * 1024);
        let mut client = proof.client(None);
        client.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let connector = TlsConnector::from(Arc::new(client));
        let (server, client) = tokio::join!(tls.accept(ours), connector.connect(localhost(), theirs));
        (matches!(server, Err(Refused::Challenge)), client.is_ok())
    };
    assert_eq!(ask(&tls).await, (false, false), "nobody expects it");
    tls.answer_challenges(Arc::new(Proof(proof.issue())));
    assert_eq!(ask(&tls).await, (true, true));
    meet(&tls, authority.client(None)).await.unwrap();
}

#[tokio::test]
async fn each_name_has_its_certificate_and_the_first_is_for_all_others() {
    let (one, other) = (Authority::named("one"), Authority::named("other"));
    let tls = Tls::open(TlsSettings::default(), true).unwrap();
    assert!(meet(&tls, one.client(None)).await.is_err(), "there is none yet");
    let certificate = |pair: Pair| Certificate::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes()).unwrap();
    tls.install("registry.example", certificate(one.issue()), true);
    meet(&tls, one.client(None)).await.unwrap();
    tls.install("LOCALHOST", certificate(other.issue()), false);
    meet(&tls, other.client(None)).await.unwrap();
    let names: Vec<_> = tls.status().not_after.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["localhost", "registry.example"]);
}
