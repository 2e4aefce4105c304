//! Flows with Prometheus: its own program reads our metrics, our alert rules and our configuration for it, and scrapes the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::command::Tool;
use super::ports;
use super::report::Report;
use super::scratch::Scratch;
use super::server::{Installation, Server};
use super::service::{Recipe, Service};
use super::tools::locate_or_say;

const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const ALERTS_TEST: &str = include_str!("observability/alerts_test.yml");
const SCRAPE: &str = include_str!("../../../deploy/prometheus/scrape.yml");

/// What a start and a first scrape may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);

/// All of them, one after the other: each needs what the one before found.
pub(crate) fn flow(program: &Path, scratch: &Scratch, report: &Report) {
    let mut started = None;
    report.flow("observability", "the server starts with an address for those who run it", || {
        started = Some(Watched::start(program, scratch)?);
        Ok(())
    });
    let Some(watched) = started else { return };
    report.flow("observability", "promtool finds nothing wrong with the metrics", || watched.metrics_are_well());
    report.flow("observability", "promtool finds nothing wrong with the rules and the configuration", || {
        watched.rules_are_well()
    });
    report.flow("observability", "prometheus scrapes the server and evaluates every rule", || watched.is_scraped());
    report.flow("observability", "the server stops", || watched.stop());
}

/// A server, and where it tells its numbers.
struct Watched {
    server: Server,
    debug: String,
    folder: PathBuf,
}

impl Watched {
    fn start(program: &Path, scratch: &Scratch) -> Result<Self> {
        let folder = scratch.folder("observability")?;
        let [debug] = ports::free()?;
        let debug = format!("127.0.0.1:{debug}");
        let server = Installation::new(program, folder.clone())
            .with_variable("CARGOHOLD__HTTP__DEBUG__ADDR", &debug)
            // It is told nothing, and has its numbers all the same.
            .with_variable("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__NAME", "hook")
            .with_variable("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__URL", "http://127.0.0.1:1/");
        let server = server.start()?;
        fs::write(folder.join("alerts.yml"), ALERTS)?;
        fs::write(folder.join("alerts_test.yml"), ALERTS_TEST)?;
        ensure!(SCRAPE.contains("127.0.0.1:5001"), "deploy/prometheus/scrape.yml names another address");
        // Prometheus waits for as long as a scrape's interval before the first one.
        let configuration = SCRAPE.replace("127.0.0.1:5001", &debug).replace("15s", "1s");
        fs::write(folder.join("prometheus.yml"), configuration)?;
        Ok(Self { server, debug, folder })
    }

    /// `promtool check metrics`, its lints included.
    fn metrics_are_well(&self) -> Result<()> {
        let page = get(&format!("http://{}/metrics", self.debug))?;
        for there in ["cargohold_build_info", r#"cargohold_notifications_waiting_events{endpoint="hook"} 0"#] {
            ensure!(page.contains(there), "the metrics have no {there}");
        }
        let file = self.folder.join("metrics");
        fs::write(&file, page)?;
        // It reads its standard input.
        let read = format!("exec {} check metrics < {}", locate_or_say("promtool")?.display(), file.display());
        let said = Tool::new("/bin/sh").run(&["-c", &read])?;
        let said = format!("{}{}", said.stdout, said.stderr);
        ensure!(said.trim().is_empty(), "promtool has objections:\n{said}");
        Ok(())
    }

    fn rules_are_well(&self) -> Result<()> {
        let promtool = Tool::new(locate_or_say("promtool")?);
        let said = promtool.read(&["check", "rules", &self.path("alerts.yml")])?;
        ensure!(said.contains("rules found") && !said.contains("FAILED"), "{said}");
        let said = promtool.read(&["test", "rules", &self.path("alerts_test.yml")])?;
        ensure!(said.contains("SUCCESS") && !said.contains("FAILED"), "{said}");
        // With the rules that it names, which lie beside it.
        let said = promtool.read(&["check", "config", &self.path("prometheus.yml")])?;
        ensure!(said.contains("is valid prometheus config file syntax"), "{said}");
        Ok(())
    }

    fn is_scraped(&self) -> Result<()> {
        let [port] = ports::free()?;
        let mut prometheus = self.prometheus(port)?;
        let query = |path: &str| -> Option<Value> {
            serde_json::from_str(&get(&format!("http://127.0.0.1:{port}/api/v1/{path}")).ok()?).ok()
        };
        prometheus.wait_until(LIMIT, || {
            let up = query("query?query=up%7Bjob%3D%22cargohold%22%7D")?;
            (up["data"]["result"][0]["value"][1] == "1").then_some(())
        })?;
        let rules = prometheus.wait_until(LIMIT, || {
            let rules = query("rules")?["data"]["groups"][0]["rules"].as_array()?.clone();
            rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
        })?;
        ensure!(rules.len() > 10, "only {} rules were evaluated", rules.len());
        for rule in &rules {
            ensure!(rule["health"] == "ok", "a rule cannot be evaluated: {rule}");
        }
        let firing: Vec<_> = rules.iter().filter(|rule| rule["state"] == "firing").map(|rule| &rule["name"]).collect();
        ensure!(firing.is_empty(), "nothing is wrong, and these alarms go off: {firing:?}");
        let version = query("query?query=cargohold_build_info").context("prometheus does not answer")?;
        ensure!(version["data"]["result"][0]["metric"]["version"].is_string(), "no version in {version}");
        Ok(())
    }

    fn prometheus(&self, port: u16) -> Result<Service> {
        let recipe = Recipe {
            name: "prometheus",
            program: locate_or_say("prometheus")?,
            arguments: vec![
                format!("--config.file={}", self.path("prometheus.yml")),
                format!("--storage.tsdb.path={}", self.path("prometheus")),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ],
            variables: Vec::new(),
            user: None,
            log: self.folder.join("prometheus.log"),
        };
        recipe.start()
    }

    fn stop(mut self) -> Result<()> {
        let status = self.server.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }
}

fn get(url: &str) -> Result<String> {
    let agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_mins(1))).proxy(None).build().new_agent();
    Ok(agent.get(url).call()?.body_mut().read_to_string()?)
}
