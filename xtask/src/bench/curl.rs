//! The client where bytes go by TLS or HTTP/2: curl, held on the core that the server is held on.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::e2e::command::Tool;
use crate::e2e::tools::locate_or_say;

/// Which protocol it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A curl that trusts an authority.
#[derive(Clone, Debug)]
pub(crate) struct Curl {
    tool: Tool,
}

impl Curl {
    pub(crate) fn new(authority: Option<&Path>) -> Result<Self> {
        let mut tool = Tool::new(locate_or_say("taskset")?).argument("-c").argument("0");
        tool = tool.argument(locate_or_say("curl")?).argument("--silent").argument("--show-error");
        if let Some(authority) = authority {
            tool = tool.argument("--cacert").argument(authority);
        }
        Ok(Self { tool })
    }

    /// Gets the same so often, by one connection.
    pub(crate) fn pull(&self, address: &str, protocol: Protocol, times: u32, length: u64) -> Result<()> {
        // What is behind the # stays here.
        let asked = format!("{address}#[1-{times}]");
        let told = self.speaking(address, protocol).read(&[
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{size_download} %{http_version}\n",
            &asked,
        ])?;
        let version = if protocol == Protocol::Http2 { "2" } else { "1.1" };
        let right = format!("200 {length} {version}");
        ensure!(told.lines().count() == times as usize, "{address} was answered {} times", told.lines().count());
        match told.lines().find(|line| line.trim() != right) {
            Some(other) => bail!("{address} was answered with {other}, not {right}"),
            None => Ok(()),
        }
    }

    /// Sends a file by PUT.
    pub(crate) fn push(&self, address: &str, protocol: Protocol, file: &Path) -> Result<()> {
        let told = self.speaking(address, protocol).read(&[
            Path::new("--upload-file"),
            file,
            Path::new("--header"),
            Path::new("Content-Type: application/octet-stream"),
            Path::new("--header"),
            Path::new("Expect:"),
            Path::new("--write-out"),
            Path::new("%{http_code}"),
            Path::new(address),
        ])?;
        ensure!(told.ends_with("201"), "{address} was answered with {told}");
        Ok(())
    }

    fn speaking(&self, address: &str, protocol: Protocol) -> Tool {
        self.tool.clone().argument(match protocol {
            Protocol::Http1 => "--http1.1",
            Protocol::Http2 if address.starts_with("https:") => "--http2",
            Protocol::Http2 => "--http2-prior-knowledge",
        })
    }
}

/// Many curls that take what they ask for slowly, all the same; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct SlowReaders {
    readers: Vec<std::process::Child>,
}

/// Transfers of one curl.
const EACH: usize = 250;

impl SlowReaders {
    /// So many, each of which takes a few KiB a second.
    pub(crate) fn start(address: &str, authority: Option<&Path>, count: usize) -> Result<Self> {
        let curl: PathBuf = locate_or_say("curl")?;
        let mut readers = Vec::new();
        for first in (0..count).step_by(EACH) {
            let mut command = std::process::Command::new("setpriv");
            command.args(["--pdeathsig", "TERM"]).arg(&curl).args(["--silent", "--http1.1", "--limit-rate", "16k"]);
            if let Some(authority) = authority {
                command.arg("--cacert").arg(authority);
            }
            let here = EACH.min(count - first);
            command.args(["--parallel", "--parallel-immediate", "--parallel-max", &here.to_string()]);
            command.args(["--output", "/dev/null"]).arg(format!("{address}#[1-{here}]"));
            let null = std::process::Stdio::null;
            readers.push(command.stdout(null()).stderr(null()).spawn().context("curl does not start")?);
        }
        Ok(Self { readers })
    }
}

impl Drop for SlowReaders {
    fn drop(&mut self) {
        for reader in &mut self.readers {
            reader.kill().ok();
            reader.wait().ok();
        }
    }
}
