//! Debian's docker-registry: the registry of the CNCF, as others wrote it, on a folder and a free port.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::registry::Registry;
use super::service::{Recipe, Service};
use super::tools;

const START_LIMIT: Duration = Duration::from_mins(1);

/// A running docker-registry that answers.
#[derive(Debug)]
pub(crate) struct DockerRegistry {
    service: Service,
    pub(crate) registry: Registry,
}

impl DockerRegistry {
    /// Starts it on the data in `data`, with deletes enabled; its settings and its log go into `folder`, which no other start uses.
    pub(crate) fn start(folder: &Path, data: &Path) -> Result<Self> {
        Self::with(folder, data, &serde_json::json!({}))
    }

    /// The same, telling the endpoint at `url` of all that happens.
    pub(crate) fn telling(folder: &Path, data: &Path, url: &str) -> Result<Self> {
        let endpoint =
            serde_json::json!({ "name": "hook", "url": url, "timeout": "10s", "backoff": "1s", "threshold": 5 });
        let notifications = serde_json::json!({ "events": { "includereferences": true }, "endpoints": [endpoint] });
        Self::with(folder, data, &serde_json::json!({ "notifications": notifications }))
    }

    fn with(folder: &Path, data: &Path, more: &serde_json::Value) -> Result<Self> {
        let configuration = folder.join("config.yml");
        let mut settings = serde_json::json!({
            "version": "0.1",
            "log": { "level": "info" },
            "storage": {
                "filesystem": { "rootdirectory": data.display().to_string() },
                "delete": { "enabled": true },
            },
            "http": { "addr": "127.0.0.1:0" },
        });
        for (key, section) in more.as_object().into_iter().flatten() {
            settings[key] = section.clone();
        }
        // JSON is YAML.
        fs::write(&configuration, settings.to_string())?;
        let log = folder.join("log");
        let mut service = Recipe {
            name: "docker-registry",
            program: tools::locate_or_say(tools::PEER_PROGRAM)?,
            arguments: vec!["serve".to_owned(), configuration.display().to_string()],
            variables: Vec::new(),
            user: None,
            log: log.clone(),
        }
        .start()?;
        let told = || listening_on(&String::from_utf8_lossy(&fs::read(&log).ok()?));
        let address = service.wait_until(START_LIMIT, told)?;
        let registry = Registry::at(&address);
        service.wait_until(START_LIMIT, || registry.answers().then_some(()))?;
        Ok(Self { service, registry })
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        let status = self.service.stop()?;
        ensure!(status.success() || status.code().is_none(), "docker-registry ended with {status}");
        Ok(())
    }
}

/// `host:port` from the whole line of the log that tells it.
fn listening_on(log: &str) -> Option<String> {
    let (lines, _unfinished) = log.rsplit_once('\n')?;
    let (_, after) = lines.split_once("listening on ")?;
    let address: String =
        after.chars().take_while(|character| character.is_ascii_digit() || ".:".contains(*character)).collect();
    address.contains(':').then_some(address)
}

#[cfg(test)]
mod tests {
    use super::listening_on;

    #[test]
    fn the_log_tells_the_address() {
        let line = "time=\"2026-11-21T10:00:00Z\" level=info msg=\"listening on 127.0.0.1:35801\" version=2.8.2\n";
        assert_eq!(listening_on(line).as_deref(), Some("127.0.0.1:35801"));
        assert_eq!(listening_on(line.trim_end()), None, "the line may go on");
        assert_eq!(listening_on("level=info\n"), None);
    }
}
