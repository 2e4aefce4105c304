//! TLS with real clients, which trust an authority that is made for the run and verify what they are shown.

mod docker;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::authority::{Authority, Pair};
use super::command::Tool;
use super::flows::same;
use super::images::{Images, blobs_of_layout};
use super::podman::engine;
use super::random::Random;
use super::report::Report;
use super::scratch::Scratch;
use super::server::Installation;
use super::service::{Recipe, Service};
use super::tools::{self, locate_or_say};

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_mins(5);
/// What is pulled while the server is told to stop, in bytes.
const LARGE: u64 = 1 << 30;
/// How much of it has come when it is told, at least.
const UNDER_WAY: u64 = 4 << 20;

/// Runs a server with TLS, and all clients against it.
pub(crate) fn flow(program: &Path, scratch: &Scratch, seed: u64, report: &Report) {
    let mut house = None;
    report.flow("tls", "a server with a certificate starts", || {
        house = Some(House::open(program, scratch, seed)?);
        Ok(())
    });
    let Some(mut house) = house else { return };
    let report = report.with_server_log(house.installation.log());
    let flow = |what, run: fn(&House) -> Result<()>| report.flow("tls", what, || run(&house));
    flow("curl speaks both protocols, and is told if it forgets TLS", curl);
    flow("skopeo copies there and back", skopeo);
    flow("podman pushes and pulls", podman);
    flow("crane pushes, pulls and validates", crane);
    report.flow("tls", "docker signs in, pushes and pulls, if it can know who listens", || {
        docker::flow(program, scratch, &house.images, &report)
    });
    flow("crane takes no certificate that it has no reason to trust", House::verified_only);
    report
        .flow("tls", "1 GiB that is pulled over HTTP/2 arrives although the server is told to stop", || house.drain());
    report.flow("tls", "clients show certificates to a server that wants them", || mutual(program, scratch));
}

/// A server, and who signed its certificate.
struct House {
    authority: Authority,
    installation: Installation,
    service: Service,
    /// `localhost:<port>`.
    host: String,
    images: Images,
    folder: PathBuf,
}

fn with_pair(installation: Installation, pair: &Pair) -> Installation {
    installation
        .with_variable("CARGOHOLD__HTTP__TLS__CERTIFICATE", &pair.certificate.display().to_string())
        .with_variable("CARGOHOLD__HTTP__TLS__KEY", &pair.key.display().to_string())
        .with_variable("CARGOHOLD__HTTP__DRAINTIMEOUT", "10m")
}

/// What clients are given as the server's name; the certificate is for both this and the address.
fn named(address: &str) -> Result<String> {
    let (_, port) = address.rsplit_once(':').context("an address has a port")?;
    Ok(format!("localhost:{port}"))
}

fn curl_tool(authority: &Authority) -> Result<Tool> {
    Ok(Tool::new(locate_or_say("curl")?)
        .argument("--silent")
        .argument("--show-error")
        .argument("--cacert")
        .argument(authority.certificate()))
}

impl House {
    fn open(program: &Path, scratch: &Scratch, seed: u64) -> Result<Self> {
        let folder = scratch.folder("tls")?;
        let authority = Authority::new(folder.clone())?;
        let pair = authority.issue("server")?;
        fs::write(folder.join("nobody.json"), "{}")?;
        let images = Images::make_for("tls-", scratch, &mut Random::fork(seed, 0x715))?;
        let installation = with_pair(Installation::new(program, scratch.folder("server-tls")?), &pair);
        let (service, address) = installation.start_with_tls()?;
        Ok(Self { authority, installation, service, host: named(&address)?, images, folder })
    }

    fn curl(&self) -> Result<Tool> {
        curl_tool(&self.authority)
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.host)
    }

    fn image(&self, client: &str) -> String {
        format!("{}/{client}/app:one", self.host)
    }

    /// Nobody who does not trust the authority gets anything.
    fn verified_only(&self) -> Result<()> {
        let crane = Tool::new(tools::crane()?).variable("DOCKER_CONFIG", self.folder.join("crane-stranger"));
        let refused = crane.run(&["digest", &self.image("crane")]);
        ensure!(refused.is_err(), "crane took a certificate that it has no reason to trust");
        let error = refused.map(drop).unwrap_err().to_string();
        ensure!(error.contains("certificate"), "crane failed for another reason:\n{error}");
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        let content = self.folder.join("large");
        fs::File::create(&content)?.set_len(LARGE)?;
        let told = Tool::new("sha256sum").read(&[&content])?;
        let digest = format!("sha256:{}", told.split_whitespace().next().context("sha256sum tells a digest")?);
        let quiet = self.curl()?.argument("--output").argument("/dev/null").argument("--write-out");
        let started = quiet.clone().argument("%header{location}").argument("--request").argument("POST");
        let session = started.read(&["--data", "", &self.url("/v2/large/blobs/uploads/")])?;
        let sign = if session.contains('?') { '&' } else { '?' };
        let upload = self.url(&format!("{session}{sign}digest={digest}"));
        let status = quiet.argument("%{http_code}").argument("--upload-file").argument(&content).read(&[&upload])?;
        same("the answer to the upload", &status, "201")?;

        let file = self.folder.join("pulled");
        let mut pull = Recipe {
            name: "curl",
            program: locate_or_say("curl")?,
            arguments: [
                "--silent",
                "--show-error",
                "--fail",
                "--http2",
                // Slow enough to be in the middle for a while.
                "--limit-rate",
                "150M",
                "--cacert",
                &self.authority.certificate().display().to_string(),
                "--output",
                &file.display().to_string(),
                &self.url(&format!("/v2/large/blobs/{digest}")),
            ]
            .map(str::to_owned)
            .to_vec(),
            variables: Vec::new(),
            user: None,
            log: self.folder.join("pull.log"),
        }
        .start()?;
        let length = || fs::metadata(&file).map_or(0, |metadata| metadata.len());
        pull.wait_until(PATIENCE, || (length() > UNDER_WAY).then_some(()))?;
        ensure!(length() < LARGE, "the pull was over before the server could be told to stop");
        let status = self.service.stop_within(PATIENCE)?;
        ensure!(status.success(), "the server ended with {status}");
        let ended = pull.end_within(PATIENCE)?;
        ensure!(ended.success(), "the pull ended with {ended}: {}", pull.tail());
        ensure!(length() == LARGE, "{} bytes came of {LARGE}", length());
        let told = Tool::new("sha256sum").read(&[&file])?;
        ensure!(told.starts_with(digest.trim_start_matches("sha256:")), "what came has another digest");
        fs::remove_file(&file)?;
        fs::remove_file(&content)?;
        Ok(())
    }
}

fn curl(house: &House) -> Result<()> {
    for (protocol, spoken) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        let told = house.curl()?.argument(protocol);
        let told =
            told.read(&["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", &house.url("/v2/")])?;
        same("the version and the status", &told, spoken)?;
    }
    let plain = house.curl()?.read(&["--write-out", " %{http_code}", &format!("http://{}/v2/", house.host)])?;
    ensure!(plain.contains("use https://") && plain.ends_with(" 400"), "without TLS the answer is {plain}");
    Ok(())
}

fn skopeo(house: &House) -> Result<()> {
    let trusted = house.authority.certificates()?;
    let skopeo = Tool::new(locate_or_say("skopeo")?).variable("REGISTRY_AUTH_FILE", house.folder.join("nobody.json"));
    let copy = skopeo
        .argument("copy")
        .argument("--src-cert-dir")
        .argument(&trusted)
        .argument("--dest-cert-dir")
        .argument(&trusted);
    let remote = format!("docker://{}", house.image("skopeo"));
    copy.run(&["--preserve-digests", &house.images.image.oci_name(), &remote])?;
    let folder = house.folder.join("skopeo-layout");
    copy.run(&["--preserve-digests", &remote, &format!("oci:{}:one", folder.display())])?;
    ensure!(blobs_of_layout(&folder)? == house.images.image.blobs()?, "what came back has other blobs");
    Ok(())
}

fn podman(house: &House) -> Result<()> {
    let podman = engine(&house.folder.join("podman"), &house.folder.join("nobody.json"))?;
    let (image, trusted) = (house.image("podman"), house.authority.certificates()?);
    podman.run(&["pull", &house.images.image.oci_name()])?;
    let id = podman.read(&["images", "--quiet", "--no-trunc"])?;
    let trusted = format!("--cert-dir={}", trusted.display());
    podman.run(&["push", &trusted, &id, &image])?;
    podman.run(&["rmi", "--all", "--force"])?;
    podman.run(&["pull", &trusted, &image])?;
    podman.run(&["rmi", "--all", "--force"])?;
    Ok(())
}

fn crane(house: &House) -> Result<()> {
    let crane = Tool::new(tools::crane()?)
        .variable("DOCKER_CONFIG", house.folder.join("crane"))
        .variable("SSL_CERT_FILE", house.authority.certificate());
    let (layout, image) = (&house.images.image, house.image("crane"));
    crane.clone().argument("push").argument(&layout.folder).run(&[&image])?;
    same("the digest", &crane.read(&["digest", &image])?, &layout.digest)?;
    crane.run(&["validate", "--remote", &image])?;
    Ok(())
}

/// A server of its own, that asks every client for a certificate.
fn mutual(program: &Path, scratch: &Scratch) -> Result<()> {
    let authority = Authority::new(scratch.folder("tls-mutual")?)?;
    let installation =
        with_pair(Installation::new(program, scratch.folder("server-mutual")?), &authority.issue("server")?)
            .with_variable("CARGOHOLD__HTTP__TLS__CLIENTCAS", &format!("[\"{}\"]", authority.certificate().display()));
    let (mut service, address) = installation.start_with_tls()?;
    let (url, client) = (format!("https://{}/v2/", named(&address)?), authority.issue("client")?);
    let curl = curl_tool(&authority)?
        .argument("--output")
        .argument("/dev/null")
        .argument("--write-out")
        .argument("%{http_code}");
    ensure!(curl.run(&[&url]).is_err(), "a client without a certificate was served");
    let stranger = Authority::new(scratch.folder("tls-stranger")?)?.issue("client")?;
    let shows =
        |pair: &Pair| curl.clone().argument("--cert").argument(&pair.certificate).argument("--key").argument(&pair.key);
    ensure!(shows(&stranger).run(&[&url]).is_err(), "a client was served with a certificate of somebody else's");
    same("the status", &shows(&client).read(&[&url])?, "200")?;
    let status = service.stop()?;
    ensure!(status.success(), "the server ended with {status}");
    Ok(())
}
