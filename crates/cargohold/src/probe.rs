//! `cargohold health`: asks a running registry whether it is ready, as a container's health check does.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use http::{Method, Uri};
use serde_json::Value;

use crate::{
    exit_status::ExitStatus,
    management::{self, Operator},
    show,
};

/// How long the registry may take for each step of its answer. Whoever runs this has limits of their own.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any answer about it has, in bytes.
const MOST_ANSWER: u64 = 1024 * 1024;

/// Whom to ask, and how to tell.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// The registry's address, with `http://` [default: the server on the data folder, asked by its socket there]
    url: Option<String>,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// Answer in JSON, as the registry does
    #[arg(long)]
    json: bool,
}

/// What the registry answered.
#[derive(Debug)]
struct Answer {
    is_ready: bool,
    body: String,
}

pub(crate) fn run(probe: &Probe) -> anyhow::Result<ExitCode> {
    let answer = match &probe.url {
        Some(url) => {
            let (addr, host) = addressed(url)?;
            ask(addr, &host).with_context(|| format!("the registry at {host} cannot be asked"))?
        }
        None => ask_here(probe.config.as_deref())?,
    };
    show::line(&if probe.json { answer.body.trim_end().to_owned() } else { told(&answer.body) });
    Ok(if answer.is_ready { ExitStatus::Done } else { ExitStatus::Failed }.into())
}

/// Asks the server on the data folder, whatever it speaks on its port.
fn ask_here(config: Option<&Path>) -> anyhow::Result<Answer> {
    let configuration = management::configuration(config)?;
    let report = management::run(async {
        let server = Operator::reach_server(&configuration).await?;
        let root = configuration.root_directory.display();
        let server = server.with_context(|| format!("no server runs on the data folder {root}"))?;
        server.ask(Method::GET, "/v1/health", None).await
    })?;
    Ok(Answer { is_ready: report["status"] == "ready", body: report.to_string() })
}

/// Where to connect to for a URL, and what to call it there.
fn addressed(url: &str) -> anyhow::Result<(SocketAddr, String)> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is no address, as in http://127.0.0.1:5000"))?;
    ensure!(uri.scheme_str() == Some("http"), "{url} does not begin with http://");
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
    let mut addrs = (host.trim_matches(['[', ']']), port).to_socket_addrs().with_context(|| host.to_owned())?;
    let addr = addrs.next().with_context(|| format!("{host} has no address"))?;
    Ok((addr, uri.authority().map_or_else(|| host.to_owned(), ToString::to_string)))
}

fn ask(addr: SocketAddr, host: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz?verbose HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST_ANSWER).read_to_end(&mut answer)?;
    read(&String::from_utf8_lossy(&answer))
}

fn read(answer: &str) -> anyhow::Result<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n").context("it hung up before its answer was complete")?;
    let is_ready = match head.split(' ').nth(1) {
        Some("200") => true,
        Some("503") => false,
        _ => bail!("what answers there is no Cargohold: {:.100}", head.lines().next().unwrap_or_default()),
    };
    Ok(Answer { is_ready, body: body.to_owned() })
}

/// For people: the whole, and what is wrong.
fn told(body: &str) -> String {
    let Ok(report) = serde_json::from_str::<Value>(body) else { return body.trim_end().to_owned() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let wrong = report["parts"].as_array().into_iter().flatten().filter(|part| part["status"] != "ok");
    let wrong =
        wrong.map(|part| format!("\n  {} is {}: {}", text(&part["name"]), text(&part["status"]), text(&part["why"])));
    text(&report["status"]) + &wrong.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_ready_or_not_or_none() {
        assert!(read("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}").unwrap().is_ready);
        assert!(!read("HTTP/1.1 503 Service Unavailable\r\n\r\n{}").unwrap().is_ready);
        assert!(read("HTTP/1.1 404 Not Found\r\n\r\n").unwrap_err().to_string().contains("no Cargohold"));
        assert!(read("HTTP/1.1 200 OK\r\n").is_err() && read("").is_err());
    }

    #[test]
    fn people_are_told_what_is_wrong() {
        let report = r#"{"status":"not ready","parts":[{"name":"database","status":"ok"},
            {"name":"store","status":"down","why":"no disk"}]}"#;
        assert_eq!(told(report), "not ready\n  store is down: no disk");
        assert_eq!(told("{\"status\":\"ready\"}\n"), "ready");
        assert_eq!(told("stopping\n"), "stopping");
    }

    #[test]
    fn an_address_has_its_scheme() {
        assert_eq!(
            addressed("http://127.0.0.1:5000/").unwrap(),
            ("127.0.0.1:5000".parse().unwrap(), "127.0.0.1:5000".to_owned())
        );
        assert_eq!(addressed("http://[::1]").unwrap(), ("[::1]:80".parse().unwrap(), "[::1]".to_owned()));
        assert!(addressed("127.0.0.1:5000").is_err() && addressed("ftp://a").is_err());
    }
}
