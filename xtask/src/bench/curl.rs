//! The client where bytes go by TLS or HTTP/2: curl, held on the core that the server is held on.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::e2e::command::Tool;
use crate::e2e::service::{Recipe, Service};
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

/// Transfers of one curl.
const EACH: usize = 250;

/// So many who take what they ask for slowly, a few KiB a second, until what this answers is dropped.
pub(crate) fn slow_readers(address: &str, authority: Option<&Path>, count: usize, log: &Path) -> Result<Vec<Service>> {
    let program = locate_or_say("curl")?;
    let trusted = authority.map(|authority| ["--cacert".to_owned(), authority.display().to_string()]);
    let readers = |first| {
        let here = EACH.min(count - first).to_string();
        let asked = format!("{address}#[1-{here}]");
        let slowly = ["--silent", "--http1.1", "--limit-rate", "16k", "--output", "/dev/null"];
        let together = ["--parallel", "--parallel-immediate", "--parallel-max", &here, &asked];
        let arguments = slowly.into_iter().chain(together).map(str::to_owned).chain(trusted.iter().flatten().cloned());
        Recipe {
            name: "curl",
            program: program.clone(),
            arguments: arguments.collect(),
            variables: Vec::new(),
            user: None,
            log: log.to_owned(),
        }
        .start()
    };
    (0..count).step_by(EACH).map(readers).collect()
}
