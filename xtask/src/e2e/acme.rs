//! Certificates from an authority that speaks ACME: Pebble, which Let's Encrypt makes for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::authority::Authority;
use super::command::Tool;
use super::ports;
use super::report::Report;
use super::scratch::Scratch;
use super::server::Installation;
use super::service::{Recipe, Service};
use super::tools::{self, locate_or_say};

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long the certificates of the short profile live, in seconds.
const SHORT_LIFE: u32 = 30;

/// Runs Pebble, and servers that get certificates from it.
pub(crate) fn flow(program: &Path, scratch: &Scratch, report: &Report) {
    let mut pebble = None;
    report.flow("acme", "pebble starts", || {
        pebble = Some(Pebble::start(scratch)?);
        Ok(())
    });
    let Some(pebble) = pebble else { return };
    let flow = |what, name: &str, run: fn(&Pebble, Installation) -> Result<()>| {
        let installation =
            scratch.folder(&format!("server-acme-{name}")).map(|folder| Installation::new(program, folder));
        let report = match &installation {
            Ok(installation) => report.with_server_log(installation.log()),
            Err(_) => report.clone(),
        };
        report.flow("acme", what, || run(&pebble, installation?));
    };
    flow("a certificate by a proof on the TLS port, kept over a restart", "tls", by_tls);
    flow("a certificate by a proof on port 80", "http", by_http);
    flow("a certificate is renewed before it runs out", "renewal", renewal);
}

/// The authority, and the name server that it asks: every name leads to this machine.
struct Pebble {
    folder: PathBuf,
    /// Who signed its own certificate.
    authority: Authority,
    directory: String,
    /// Where it looks for proofs.
    http: u16,
    tls: u16,
    _services: [Service; 2],
}

impl Pebble {
    fn start(scratch: &Scratch) -> Result<Self> {
        let folder = scratch.folder("pebble")?;
        let authority = Authority::new(folder.clone())?;
        let own = authority.issue("pebble")?;
        let [directory, management, http, tls, names, steering] = ports::free()?;
        let names_server = Recipe {
            name: "pebble-challtestsrv",
            program: tools::pebble()?.join("pebble-challtestsrv"),
            arguments: [
                ("-dnsserver", format!("127.0.0.1:{names}")),
                ("-management", format!("127.0.0.1:{steering}")),
                ("-defaultIPv4", "127.0.0.1".to_owned()),
                ("-defaultIPv6", String::new()),
                ("-http01", String::new()),
                ("-https01", String::new()),
                ("-tlsalpn01", String::new()),
                ("-doh", String::new()),
            ]
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect(),
            variables: Vec::new(),
            user: None,
            log: folder.join("names.log"),
        }
        .start()?;
        let configuration = folder.join("pebble.json");
        let profile = |seconds: u32| json!({ "description": "of the suite", "validityPeriod": seconds });
        let settings = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": own.certificate,
            "privateKey": own.key,
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "retryAfter": { "authz": 1, "order": 1 },
            "keyAlgorithm": "ecdsa",
            "profiles": { "default": profile(7_776_000), "short": profile(SHORT_LIFE) },
        }});
        fs::write(&configuration, settings.to_string())?;
        let mut pebble = Recipe {
            name: "pebble",
            program: tools::pebble()?.join("pebble"),
            arguments: [
                "-strict",
                "-dnsserver",
                &format!("127.0.0.1:{names}"),
                "-config",
                &configuration.display().to_string(),
            ]
            .map(str::to_owned)
            .to_vec(),
            // Every order has to be proved, and nobody waits for nothing.
            variables: [("PEBBLE_AUTHZREUSE", "0"), ("PEBBLE_VA_NOSLEEP", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            user: None,
            log: folder.join("pebble.log"),
        }
        .start()?;
        let curl = Tool::new(locate_or_say("curl")?)
            .argument("--silent")
            .argument("--cacert")
            .argument(authority.certificate());
        let roots = format!("https://localhost:{management}/roots/0");
        let root = pebble.wait_until(PATIENCE, || curl.read(&["--fail", &roots]).ok())?;
        fs::write(folder.join("root.crt"), root)?;
        let directory = format!("https://localhost:{directory}/dir");
        Ok(Self { folder, authority, directory, http, tls, _services: [names_server, pebble] })
    }

    /// A server that gets certificates here for one host.
    fn installation(&self, of: Installation, host: &str) -> Installation {
        of.with_variable("CARGOHOLD__HTTP__ADDR", &format!("127.0.0.1:{}", self.tls))
            .with_variable("CARGOHOLD__HTTP__TLS__LETSENCRYPT__HOSTS", &format!("[{host}]"))
            .with_variable("CARGOHOLD__HTTP__TLS__LETSENCRYPT__EMAIL", "people@example.com")
            .with_variable("CARGOHOLD__HTTP__TLS__LETSENCRYPT__DIRECTORYURL", &self.directory)
            .with_variable(
                "CARGOHOLD__HTTP__TLS__LETSENCRYPT__DIRECTORYCA",
                &self.authority.certificate().display().to_string(),
            )
    }

    /// The number of the certificate that a server shows for a host, if a client that trusts Pebble is served there.
    fn shown(&self, host: &str) -> Result<Option<String>> {
        let curl = Tool::new(locate_or_say("curl")?)
            .argument("--silent")
            .argument("--cacert")
            .argument(self.folder.join("root.crt"));
        let resolve = format!("{host}:{}:127.0.0.1", self.tls);
        let url = format!("https://{host}:{}/v2/", self.tls);
        let write = "%{http_code}\n%{certs}";
        let Ok(told) = curl.read(&["--output", "/dev/null", "--resolve", &resolve, "--write-out", write, &url]) else {
            return Ok(None);
        };
        let (status, certificates) = told.split_once('\n').context("curl tells nothing")?;
        ensure!(status == "200", "the status is {status}");
        let number = certificates.lines().find_map(|line| line.strip_prefix("Serial Number:"));
        Ok(Some(number.context("curl tells of no certificate")?.to_owned()))
    }
}

fn by_tls(pebble: &Pebble, installation: Installation) -> Result<()> {
    let host = "tls.cargohold.test";
    let installation = pebble.installation(installation, host);
    let (mut server, _) = installation.start_with_tls()?;
    let first = server.wait_until(PATIENCE, || pebble.shown(host).transpose())??;
    ensure!(fs::read_to_string(installation.log())?.contains("asked for a proof, and was shown it"), "nobody asked");
    server.stop()?;
    let (mut server, _) = installation.start_with_tls()?;
    let kept = pebble.shown(host)?.context("nothing is shown after a restart")?;
    ensure!(kept == first, "there is another certificate after a restart");
    server.stop()?;
    Ok(())
}

fn by_http(pebble: &Pebble, installation: Installation) -> Result<()> {
    let host = "http.cargohold.test";
    let installation = pebble
        .installation(installation, host)
        .with_variable("CARGOHOLD__HTTP__TLS__LETSENCRYPT__HTTPADDR", &format!("127.0.0.1:{}", pebble.http));
    let (mut server, _) = installation.start_with_tls()?;
    server.wait_until(PATIENCE, || pebble.shown(host).transpose())??;
    let log = fs::read_to_string(installation.log())?;
    ensure!(log.contains("somebody looked for a proof") && log.contains("found=true"), "nobody looked");
    server.stop()?;
    Ok(())
}

fn renewal(pebble: &Pebble, installation: Installation) -> Result<()> {
    let host = "short.cargohold.test";
    let installation =
        pebble.installation(installation, host).with_variable("CARGOHOLD__HTTP__TLS__LETSENCRYPT__PROFILE", "short");
    let (mut server, _) = installation.start_with_tls()?;
    let first = server.wait_until(PATIENCE, || pebble.shown(host).transpose())??;
    let another = || match pebble.shown(host) {
        Ok(Some(number)) if number == first => None,
        other => other.transpose(),
    };
    server.wait_until(PATIENCE, another)??;
    server.stop()?;
    Ok(())
}
