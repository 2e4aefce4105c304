//! The registry behind the usual proxies, which end TLS: with the configurations that docs/proxies.md tells people to use,
//! read out of that page, and with every client.
//!
//! Each proxy listens on an address of this machine that nobody else uses, so that its port is free. Clients take such an address
//! without knowing the certificate, and none of them sends a password to an address that is not within TLS because we told it to:
//! that is looked at by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::command::Tool;
use super::flows::{Setting, same};
use super::images::Images;
use super::random::Random;
use super::registry::Registry;
use super::report::Report;
use super::scratch::Scratch;
use super::server::{Installation, Server};
use super::service::{Recipe, Service};
use super::sign_in::{self, Client, PASSWORD, USER};
use super::tools::locate_or_say;
use super::{crane, docker, podman, skopeo};

const PAGE: &str = include_str!("../../../docs/proxies.md");

const START_LIMIT: Duration = Duration::from_mins(1);

/// More than any of the proxies would take by default, or gather in memory.
const LARGE: &str = "300M";

/// What stands in front of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Haproxy,
    Caddy,
}

/// A proxy, and the server behind it.
struct Front {
    _proxy: Service,
    server: Server,
    /// `https://<host>:<port>`
    url: String,
    registry: Registry,
    /// The server's.
    log: PathBuf,
}

/// Everything: each proxy by itself, since the clients are shared.
pub(crate) fn flows(program: &Path, scratch: &Scratch, seed: u64, report: &Report) {
    let made = scratch.within("proxies").and_then(|scratch| {
        let images = Images::make(&scratch, &mut Random::fork(seed, 2))?;
        Ok((scratch, images))
    });
    let (scratch, images) = match made {
        Ok(made) => made,
        Err(error) => return report.flow("proxies", "images are made", || Err(error)),
    };
    let nowhere = Registry::at("127.0.0.1:1");
    let setting = Setting { registry: &nowhere, doors: None, images: &images, scratch: &scratch, report };
    report.flow("proxies", "clients of all kinds sign in, push and pull through each", || {
        let clients: [(&str, Box<dyn Client>); 4] = [
            ("docker", Box::new(docker::client(&setting)?)),
            ("podman", Box::new(podman::client(&setting)?)),
            ("skopeo", Box::new(skopeo::client(&setting)?)),
            ("crane", Box::new(crane::client(&setting)?)),
        ];
        for proxy in [Proxy::Nginx, Proxy::Haproxy, Proxy::Caddy] {
            let mut front = Front::start(proxy, program, &scratch, false)?;
            for (name, client) in &clients {
                let signed_in = sign_in::signs_in(name, &**client, &front.registry, true);
                signed_in.with_context(|| format!("{name} through {}", proxy.name()))?;
            }
            front.stop()?;
        }
        Ok(())
    });
    for proxy in [Proxy::Nginx, Proxy::Haproxy, Proxy::Caddy] {
        let name = proxy.name();
        report.flow("proxies", &format!("{name} tells whom it asked for, and strangers tell nothing"), || {
            with(proxy, program, &scratch, |front| tells_where_it_is(front, &scratch))
        });
        report.flow("proxies", &format!("{name} passes a layer of {LARGE} on, and back"), || {
            with(proxy, program, &scratch, |front| large_layer(front, &scratch))
        });
    }
    report.flow("proxies", "a registry below a path", || {
        let mut front = Front::start(Proxy::Nginx, program, &scratch, true)?;
        below_a_path(&front, &scratch)?;
        front.stop()
    });
}

fn with(proxy: Proxy, program: &Path, scratch: &Scratch, what: impl FnOnce(&Front) -> Result<()>) -> Result<()> {
    let mut front = Front::start(proxy, program, scratch, false)?;
    what(&front)?;
    front.stop()
}

/// The realm is the proxy's address, whatever the client says in the headers that proxies use.
fn tells_where_it_is(front: &Front, scratch: &Scratch) -> Result<()> {
    let realm = format!("realm=\"{}/auth/token\"", front.url);
    let spoofed = [
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-For: 203.0.113.66",
        "X-Real-IP: 203.0.113.66",
        "Forwarded: for=203.0.113.66;host=evil.example;proto=http",
    ];
    let spoofed: Vec<&str> = spoofed.iter().flat_map(|header| ["--header", header]).collect();
    for lies in [&[][..], &spoofed] {
        let ping = front.at("/v2/");
        let arguments = [lies, &["--write-out", "%header{www-authenticate}", &ping]].concat();
        let told = curl(scratch)?.read(&arguments)?;
        ensure!(told.contains(&realm), "the registry asks for a password with {told}, not with {realm}");
    }
    let log = fs::read_to_string(&front.log)?;
    ensure!(!log.contains("203.0.113.66"), "the registry believes who the client says to be:\n{log}");
    Ok(())
}

/// In one piece, as clients push layers.
fn large_layer(front: &Front, scratch: &Scratch) -> Result<()> {
    let (layer, back) = (scratch.path("large-layer"), scratch.path("large-layer-back"));
    let (layer, back) = (layer.display().to_string(), back.display().to_string());
    Tool::new("sh").run(&["-c", &format!("head -c {LARGE} /dev/urandom > {layer}")])?;
    let digest = sha256_of(&layer)?;
    let signed = |tool: Tool| tool.argument("--user").argument(format!("{USER}:{PASSWORD}"));
    let (curl, fetch) = (|| curl(scratch).map(signed), || fetch(scratch).map(signed));
    let start = front.at("/v2/large/layer/blobs/uploads/");
    let location = curl()?.read(&["--request", "POST", "--write-out", "%header{location}", &start])?;
    let upload = format!("{}?digest={digest}", front.at(&location));
    let status = curl()?.read(&["--upload-file", &layer, "--write-out", "%{http_code}", &upload])?;
    same("the status of the push", &status, "201")?;
    let blob = front.at(&format!("/v2/large/layer/blobs/{digest}"));
    fetch()?.run(&["--fail", "--output", &back, &blob])?;
    same("the digest of what came back", &sha256_of(&back)?, &digest)?;
    fs::remove_file(layer)?;
    fs::remove_file(back)?;
    Ok(())
}

fn below_a_path(front: &Front, scratch: &Scratch) -> Result<()> {
    let told = curl(scratch)?.read(&["--write-out", "%header{www-authenticate}", &front.at("/registry/v2/")])?;
    let realm = format!("realm=\"{}/registry/auth/token\"", front.url);
    ensure!(told.contains(&realm), "the registry asks for a password with {told}, not with {realm}");
    let signed = |tool: Tool| tool.argument("--user").argument(format!("{USER}:{PASSWORD}"));
    let (curl, fetch) = (|| curl(scratch).map(signed), || fetch(scratch).map(signed));
    let start = front.at("/registry/v2/a/b/blobs/uploads/");
    let location = curl()?.read(&["--request", "POST", "--write-out", "%header{location}", &start])?;
    ensure!(location.starts_with("/registry/v2/a/b/blobs/uploads/"), "an upload begins at {location}");
    let content = scratch.path("below-a-path");
    fs::write(&content, "below a path")?;
    let content = content.display().to_string();
    let digest = sha256_of(&content)?;
    let upload = format!("{}?digest={digest}", front.at(&location));
    let blob = curl()?.read(&["--upload-file", &content, "--write-out", "%header{location}", &upload])?;
    same("where the blob is", &blob, &format!("/registry/v2/a/b/blobs/{digest}"))?;
    let back = fetch()?.read(&["--fail", &front.at(&blob)])?;
    same("the blob", &back, "below a path")?;
    let token = front.at("/registry/auth/token?service=x&scope=repository:a/b:pull,push");
    let token = fetch()?.read(&["--fail", &token])?;
    ensure!(token.contains("access_token"), "no token: {token}");
    let outside = curl()?.read(&["--write-out", "%{http_code}", &front.at("/v2/")])?;
    same("the status outside of the path", &outside, "404")
}

impl Front {
    fn start(proxy: Proxy, program: &Path, scratch: &Scratch, is_below_a_path: bool) -> Result<Self> {
        let folder = scratch.folder(&proxy.folder(is_below_a_path))?;
        let installation = Installation::new(program, folder.clone()).with_configuration(configuration(
            scratch,
            &folder,
            is_below_a_path,
        )?);
        let (server, log) = (installation.start()?, installation.log());
        // 127.0.0.0/8 is this machine's (RFC 1122 §3.2.1.3); the numbers are of this run.
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = format!("127.{}.{high}.{low}", 100 + proxy as u8);
        let address = format!("{host}:8443");
        certificate(&folder, &host)?;
        let text = proxy.configuration(&folder, &address, server.registry.address(), is_below_a_path)?;
        let file = folder.join(proxy.name());
        fs::write(&file, text)?;
        let mut service = proxy.recipe(&folder, &file.display().to_string())?.start()?;
        let url = format!("https://{address}");
        let ping = format!("{url}/");
        service.wait_until(START_LIMIT, || curl(scratch).ok()?.run(&[&ping]).ok())?;
        Ok(Self { _proxy: service, server, registry: Registry::at(&address), url, log })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn stop(&mut self) -> Result<()> {
        let status = self.server.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Proxy {
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    fn folder(self, is_below_a_path: bool) -> String {
        format!("{}{}", self.name(), if is_below_a_path { "-path" } else { "" })
    }

    /// What the page says, for this address, this server and these certificates.
    fn configuration(self, folder: &Path, address: &str, server: &str, is_below_a_path: bool) -> Result<String> {
        let certificates = format!("{}/", folder.display());
        let text = block(if self == Self::Caddy { "caddyfile" } else { self.name() }, 0)?;
        let text = put(&put(&text, "127.0.0.1:5000", server)?, "/etc/ssl/", &certificates)?;
        Ok(match self {
            Self::Nginx => {
                let mut text = put(&text, "listen 443 ", &format!("listen {address} "))?;
                if is_below_a_path {
                    text = put(&text, "location / {", "location /registry/ {")?;
                }
                // The rest of what Debian's nginx.conf has around it.
                let folder = folder.display();
                let temporary: Vec<String> = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .iter()
                    .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
                    .collect();
                format!(
                    "user root;\ndaemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n    \
                     access_log off;\n{}{text}}}\n",
                    temporary.concat()
                )
            }
            Self::Haproxy => put(&text, "bind :443 ", &format!("bind {address} "))?,
            Self::Caddy => {
                let (host, _port) = address.rsplit_once(':').context("an address has a port")?;
                let site = format!("https://{address} {{\n\tbind {host}");
                let text = put(&text, "registry.example.com {", &site)?;
                format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}")
            }
        })
    }

    fn recipe(self, folder: &Path, file: &str) -> Result<Recipe> {
        let arguments: &[&str] = match self {
            Self::Nginx => &["-e", "stderr", "-c", file],
            Self::Haproxy => &["-db", "-f", file],
            Self::Caddy => &["run", "--adapter", "caddyfile", "--config", file],
        };
        Ok(Recipe {
            name: self.name(),
            program: locate_or_say(self.name())?,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            // Caddy keeps what it knows there.
            variables: ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"]
                .map(|name| (name.to_owned(), folder.display().to_string()))
                .to_vec(),
            user: None,
            log: folder.join("proxy.log"),
        })
    }
}

/// The configuration file of the server, as the page has it.
fn configuration(scratch: &Scratch, folder: &Path, is_below_a_path: bool) -> Result<PathBuf> {
    let users = sign_in::users(scratch)?.display().to_string();
    let mut text = put(&block("yaml", 0)?, "/etc/cargohold/htpasswd", &users)?;
    if is_below_a_path {
        text = put(&text, "http:\n", &block("yaml", 2)?)?;
    }
    let file = folder.join("config.yml");
    fs::write(&file, text)?;
    Ok(file)
}

/// A certificate that nobody signed, and its key, under the names that the page has.
fn certificate(folder: &Path, host: &str) -> Result<()> {
    let path = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (path("registry.crt"), path("registry.key"));
    let names = format!("subjectAltName=IP:{host}");
    let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let rest = ["-subj", "/CN=registry", "-addext", &names, "-keyout", &key, "-out", &certificate];
    Tool::new(locate_or_say("openssl")?).run(&[&request[..], &rest].concat())?;
    fs::write(path("registry.pem"), [fs::read(certificate)?, fs::read(key)?].concat())?;
    Ok(())
}

/// As [`fetch`], which throws away what is answered: of an answer only that is told which is asked for.
fn curl(scratch: &Scratch) -> Result<Tool> {
    Ok(fetch(scratch)?.argument("--output").argument("/dev/null"))
}

/// curl that says nothing of its own, and takes any certificate.
fn fetch(scratch: &Scratch) -> Result<Tool> {
    Ok(Tool::new(locate_or_say("curl")?)
        // The user's own settings play no part.
        .argument("--disable")
        .argument("--insecure")
        .argument("--silent")
        .argument("--show-error")
        .argument("--noproxy")
        .argument("*")
        .variable("HOME", scratch.path("")))
}

fn sha256_of(file: &str) -> Result<String> {
    let told = Tool::new(locate_or_say("sha256sum")?).read(&[file])?;
    let hash = told.split_whitespace().next().context("sha256sum tells no digest")?;
    Ok(format!("sha256:{hash}"))
}

/// The text of a block of the page, without the fence.
fn block(language: &str, number: usize) -> Result<String> {
    let fence = format!("```{language}\n");
    let block = PAGE.split(&fence).nth(number + 1).and_then(|rest| rest.split_once("```"));
    block
        .map(|(block, _)| block.to_owned())
        .with_context(|| format!("docs/proxies.md has no block {number} in {language}"))
}

/// A text with something in the place of something else, which has to be there.
fn put(text: &str, there: &str, instead: &str) -> Result<String> {
    ensure!(text.contains(there), "docs/proxies.md does not say {there:?} where it should");
    Ok(text.replace(there, instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_configuration_for_each() {
        for proxy in [Proxy::Nginx, Proxy::Haproxy, Proxy::Caddy] {
            let text = proxy.configuration(Path::new("/folder"), "127.1.2.3:8443", "127.0.0.1:7", false).unwrap();
            assert!(text.contains("127.1.2.3:8443") && text.contains("127.0.0.1:7"), "{text}");
            assert!(text.contains("/folder/registry.") && !text.contains("/etc/ssl"), "{text}");
        }
        assert!(
            Proxy::Nginx.configuration(Path::new("/f"), "a:1", "b:2", true).unwrap().contains("location /registry/")
        );
        assert!(block("yaml", 0).unwrap().contains("trusted_proxies"));
        assert!(block("yaml", 2).unwrap().contains("prefix: /registry/"));
    }
}
