//! The servers that are compared: how each is started, what it has, and where it serves it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::usage::Processes;
use super::wire::Wire;
use crate::e2e::authority::Pair;
use crate::e2e::command::find;
use crate::e2e::ports;
use crate::e2e::scratch::Scratch;
use crate::e2e::service::{Recipe, Service};

const START_LIMIT: Duration = Duration::from_mins(1);

/// Who takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours(PathBuf),
    Nginx,
    /// A plain loop, the limit of pushes.
    Receiver,
    DockerRegistry,
    Distribution(Option<PathBuf>),
    Zot(Option<PathBuf>),
    Olareg(Option<PathBuf>),
}

/// What it can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything that a registry does.
    Registry,
    /// Files, by their path.
    Files,
    /// To take bytes.
    Receiver,
}

/// One that runs.
#[derive(Debug)]
pub(crate) struct Contender {
    name: &'static str,
    is_ours: bool,
    pub(crate) role: Role,
    pub(crate) address: String,
    /// Where it takes its files from, if that is what it does.
    pub(crate) root: PathBuf,
    service: Service,
}

impl Kind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "cargohold",
            Self::Nginx => "nginx (limit)",
            Self::Receiver => "plain loop (limit)",
            Self::DockerRegistry => "docker-registry",
            Self::Distribution(_) => "distribution",
            Self::Zot(_) => "zot",
            Self::Olareg(_) => "olareg",
        }
    }

    fn role(&self) -> Role {
        match self {
            Self::Nginx => Role::Files,
            Self::Receiver => Role::Receiver,
            _ => Role::Registry,
        }
    }

    /// Its name and its version, as it tells them: of what is built from its source, that may be a commit.
    pub(crate) fn version(&self) -> Option<String> {
        let how: &[&str] = match self {
            Self::Receiver => return None,
            Self::Nginx => &["-v"],
            Self::Olareg(_) => &["version", "--format", "{{.VCSRef}}"],
            _ => &["--version"],
        };
        let told = Command::new(self.program()?).args(how).output().ok()?;
        let told = [told.stdout, told.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        let version = match self {
            Self::Olareg(_) => told.trim().get(..8).filter(|commit| *commit != "unknown").map(str::to_owned),
            Self::Zot(_) => serde_json::from_str(&told)
                .ok()
                .and_then(|told: serde_json::Value| Some(told["commit"].as_str()?.to_owned())),
            _ => numbered(&told),
        };
        let name = self.name().trim_end_matches(" (limit)");
        Some(
            version
                .filter(|version| !version.is_empty())
                .map_or(name.to_owned(), |version| format!("{name} {version}")),
        )
    }

    /// The program, if it is there.
    fn program(&self) -> Option<PathBuf> {
        match self {
            Self::Ours(program) => Some(program.clone()),
            Self::Receiver => std::env::current_exe().ok(),
            Self::Nginx => find("nginx"),
            Self::DockerRegistry => find("docker-registry"),
            Self::Distribution(program) | Self::Zot(program) | Self::Olareg(program) => program.clone(),
        }
    }

    /// Its arguments; what it reads is written into `folder` first. With a certificate it speaks TLS.
    fn arguments(&self, folder: &Path, port: u16, tls: Option<&Pair>) -> Result<Vec<String>> {
        let address = format!("127.0.0.1:{port}");
        let data = folder.join("data");
        fs::create_dir_all(&data)?;
        let file = folder.join("settings");
        let path = file.display().to_string();
        let pair = tls.map_or(json!({}), |Pair { certificate, key }| json!({ "certificate": certificate, "key": key }));
        let arguments: Vec<String> = match self {
            Self::Ours(_) => {
                let settings = json!({
                    // All clients come from one address here.
                    "http": { "addr": address, "limits": { "requests": 100_000 }, "tls": pair },
                    "storage": { "filesystem": { "rootdirectory": data } },
                });
                // JSON is YAML.
                fs::write(&file, settings.to_string())?;
                vec!["serve".into(), path]
            }
            Self::Receiver => vec!["bench".into(), "--receive".into()],
            Self::Nginx => {
                fs::write(&file, nginx(folder, &data, port, tls))?;
                vec!["-c".into(), path]
            }
            Self::DockerRegistry | Self::Distribution(_) => {
                let settings = json!({
                    "version": "0.1",
                    "log": { "level": "error", "accesslog": { "disabled": true } },
                    "storage": { "filesystem": { "rootdirectory": data }, "delete": { "enabled": true } },
                    "http": { "addr": address, "tls": pair },
                });
                fs::write(&file, settings.to_string())?;
                vec!["serve".into(), path]
            }
            Self::Zot(_) => {
                let mut settings = json!({
                    "storage": { "rootDirectory": data, "dedupe": true, "gc": false },
                    "http": { "address": "127.0.0.1", "port": port.to_string() },
                    "log": { "level": "error" },
                });
                if let Some(Pair { certificate, key }) = tls {
                    settings["http"]["tls"] = json!({ "cert": certificate, "key": key });
                }
                let file = file.with_extension("json");
                fs::write(&file, settings.to_string())?;
                vec!["serve".into(), file.display().to_string()]
            }
            Self::Olareg(_) => {
                let (data, port) = (data.display().to_string(), port.to_string());
                let plain = ["serve", "--dir", &data, "--store-type", "dir", "--port", &port, "--verbosity", "error"];
                let pair = tls.map(|Pair { certificate, key }| {
                    [
                        "--tls-cert".into(),
                        certificate.display().to_string(),
                        "--tls-key".into(),
                        key.display().to_string(),
                    ]
                });
                plain.map(str::to_owned).into_iter().chain(pair.into_iter().flatten()).collect()
            }
        };
        Ok(arguments)
    }
}

impl Contender {
    /// Starts it on a folder of its own, with what it left there if it ran before; none if its program is not there.
    pub(crate) fn start(kind: &Kind, scratch: &Scratch, tls: Option<&Pair>) -> Result<Option<Self>> {
        Self::start_under(&[], kind, scratch, tls)
    }

    /// As [`start`](Self::start), by a program that runs programs.
    pub(crate) fn start_under(
        runner: &[String],
        kind: &Kind,
        scratch: &Scratch,
        tls: Option<&Pair>,
    ) -> Result<Option<Self>> {
        let Some(program) = kind.program() else { return Ok(None) };
        let is_ours = matches!(kind, Kind::Ours(_));
        let folder = scratch.folder(&kind.name().replace([' ', '(', ')'], ""))?;
        let [port] = ports::free()?;
        let log = folder.join("log");
        let variables = if is_ours { vec![("RUST_LOG".into(), "warn".into())] } else { vec![] };
        let arguments = kind.arguments(&folder, port, tls)?;
        let mut command: Vec<String> =
            runner.iter().cloned().chain([program.display().to_string()]).chain(arguments).collect();
        let recipe = Recipe {
            name: kind.name(),
            program: command.remove(0).into(),
            arguments: command,
            variables,
            user: None,
            log: log.clone(),
        };
        let mut service = recipe.start()?;
        let address = service.wait_until(START_LIMIT, || {
            // It may have run before: what it says last counts.
            let told = || Some(fs::read_to_string(&log).ok()?.lines().last()?.strip_prefix("http://")?.to_owned());
            let address = if kind.role() == Role::Receiver { told()? } else { format!("127.0.0.1:{port}") };
            Wire::connect(&address).is_ok().then_some(address)
        })?;
        if *kind == Kind::Nginx {
            // It listens before the process is there that works.
            let processes = Processes(service.process_id());
            service.wait_until(START_LIMIT, || (processes.count() > 1).then_some(()))?;
        }
        Ok(Some(Self { name: kind.name(), is_ours, role: kind.role(), address, root: folder.join("data"), service }))
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours
    }

    pub(crate) fn processes(&self) -> Processes {
        Processes(self.service.process_id())
    }

    pub(crate) fn connect(&self) -> Result<Wire> {
        Wire::connect(&self.address).with_context(|| format!("{}:\n{}", self.name, self.service.tail()))
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        self.service.stop().map(drop)
    }
}

/// As somebody sets it up who wants files to be served fast, with one process that works.
fn nginx(folder: &Path, data: &Path, port: u16, tls: Option<&Pair>) -> String {
    let (folder, data) = (folder.display(), data.display());
    let (listen, pair) = match tls {
        None => ("", String::new()),
        Some(Pair { certificate, key }) => {
            (" ssl http2", format!("ssl_certificate {}; ssl_certificate_key {};", certificate.display(), key.display()))
        }
    };
    format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/log warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 100000000;\n  open_file_cache max=1000;\n\
           server {{ listen 127.0.0.1:{port}{listen}; {pair} root {data}; }}\n}}\n"
    )
}

/// The first word that looks like a version.
fn numbered(told: &str) -> Option<String> {
    let mut words = told.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word).trim_start_matches('v'));
    let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.'));
    version.map(|version| version.trim_end_matches([',', ';']).to_owned())
}
