//! The server under test: building it, starting it on a data folder and a free port, stopping it and killing it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::command::Tool;
use super::registry::Registry;
use super::service::{Recipe, Service};

/// Generous: a start does not depend on how much is stored, but the machine may be busy.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How and where to run the server; every start takes the same data folder.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    program: PathBuf,
    folder: PathBuf,
    variables: Vec<(String, String)>,
    configuration: Option<PathBuf>,
    /// Whether everybody may do everything.
    is_open: bool,
}

/// A running `cargohold serve` that answers.
#[derive(Debug)]
pub(crate) struct Server {
    service: Service,
    pub(crate) registry: Registry,
}

impl Installation {
    /// `folder` is there and its own: data and log go into it.
    pub(crate) fn new(program: &Path, folder: PathBuf) -> Self {
        Self { program: program.to_owned(), folder, variables: Vec::new(), configuration: None, is_open: true }
    }

    /// The same with a setting of the configuration, as its environment variable.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this as its configuration file, which says who may come in.
    pub(crate) fn with_configuration(self, file: PathBuf) -> Self {
        Self { configuration: Some(file), is_open: false, ..self }
    }

    /// The same without a word about who may come in.
    pub(crate) fn without_auth(self) -> Self {
        Self { is_open: false, ..self }
    }

    /// Runs another command of the program on the same data; answers what it wrote to its standard output.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String> {
        let root = "CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY";
        let mut tool = Tool::new(&self.program).variable(root, self.data());
        for (name, value) in &self.variables {
            tool = tool.variable(name, value);
        }
        Ok(tool.read(arguments)?)
    }

    /// The log of all starts.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&self) -> Result<Server> {
        let log = self.log();
        let earlier = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let mut service = self.launch()?;
        let address = service.wait_until(START_LIMIT, || {
            let text = fs::read(&log).ok()?;
            address_in_banner(&String::from_utf8_lossy(text.get(usize::try_from(earlier).ok()?..)?))
        })?;
        let registry = Registry::at(&address);
        service.wait_until(START_LIMIT, || registry.answers().then_some(()))?;
        Ok(Server { service, registry })
    }

    /// Starts it where its settings have it speak TLS, and waits until it says so; answers with its address.
    pub(crate) fn start_with_tls(&self) -> Result<(Service, String)> {
        let log = self.log();
        let earlier = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let mut service = self.launch()?;
        let address = service.wait_until(START_LIMIT, || {
            let text = fs::read(&log).ok()?;
            let text =
                String::from_utf8_lossy(text.get(usize::try_from(earlier).ok()?..)?).replace("https://", "http://");
            // The authority's address may stand in the log before.
            address_in_banner(text.get(text.find("  Registry ")?..)?)
        })?;
        Ok((service, address))
    }

    /// Starts it and does not wait for anything.
    pub(crate) fn launch(&self) -> Result<Service> {
        match &self.configuration {
            Some(file) => self.begin(&["serve", &file.display().to_string()]),
            None => self.begin(&["serve"]),
        }
    }

    /// The data folder, which the first start makes.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts another command of the program on the same data, and does not wait for anything.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Result<Service> {
        let data = self.data().display().to_string();
        let mut variables = vec![
            ("CARGOHOLD__HTTP__ADDR".to_owned(), "127.0.0.1:0".to_owned()),
            ("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY".to_owned(), data),
        ];
        if self.is_open {
            variables.push(("CARGOHOLD__AUTH".to_owned(), "open".to_owned()));
        }
        variables.extend(self.variables.iter().cloned());
        Recipe {
            name: "the server",
            program: self.program.clone(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            variables,
            user: None,
            log: self.log(),
        }
        .start()
    }
}

impl Server {
    /// What the system calls its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.service.process_id()
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        self.service.stop()
    }

    /// Ends it at whatever instruction it is (SIGKILL).
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        self.service.kill()
    }
}

/// Builds the server in cargo's development profile and tells where it lies.
pub(crate) fn build() -> Result<PathBuf> {
    println!("building the server (cargo build --package cargohold)");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "--package", "cargohold", "--bin", "cargohold"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not start")?;
    if !output.status.success() {
        bail!("the server does not build");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(built_program)
        .context("cargo names no program that it built")
}

/// The program of cargo's message for the binary `cargohold` (the cargo book, External tools, JSON messages).
fn built_program(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let program = message["executable"].as_str()?;
    (message["target"]["name"] == "cargohold").then(|| program.into())
}

/// `host:port` from the first whole line that has `http://` in it.
fn address_in_banner(text: &str) -> Option<String> {
    let (lines, _unfinished) = text.rsplit_once('\n')?;
    let (_, after) = lines.split_once("http://")?;
    let address: String = after
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || ".:[]-".contains(*character))
        .collect();
    address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()).then_some(address)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{address_in_banner, built_program};

    #[test]
    fn the_banner_tells_the_address() {
        assert_eq!(address_in_banner("Cargohold 0.1\n  http://127.0.0.1:41733/\n").as_deref(), Some("127.0.0.1:41733"));
        assert_eq!(address_in_banner("at http://[::1]:5000, open\n").as_deref(), Some("[::1]:5000"));
        assert_eq!(address_in_banner("at http://127.0.0.1:41"), None, "the line may go on");
        assert_eq!(address_in_banner("nothing yet\n"), None);
    }

    #[test]
    fn the_built_program_is_the_binary_and_no_other_artifact() {
        let message =
            r#"{"reason":"compiler-artifact","target":{"name":"cargohold"},"executable":"/t/debug/cargohold"}"#;
        assert_eq!(built_program(message), Some(PathBuf::from("/t/debug/cargohold")));
        assert_eq!(built_program(&message.replace(r#""name":"cargohold""#, r#""name":"xtask""#)), None);
        assert_eq!(built_program(r#"{"target":{"name":"cargohold"},"executable":null}"#), None);
        assert_eq!(built_program("not JSON"), None);
    }
}
