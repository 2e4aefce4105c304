//! The checks of the registry's health, each by itself in the background: the database and the store, and what the operator
//! wants looked at (`health` of the CNCF registry's configuration).
//!
//! What they find is told to [`Health`], which answers probes and refuses requests; no request waits for a check.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use cargohold_http::{Health, HealthCheck};
use cargohold_registry::Registry;
use http::HeaderMap;
use reqwest::{Client, Url, redirect::Policy};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use crate::outgoing;

/// How often something is looked at where nothing else is said, as in the CNCF registry.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long an answer may take where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is looked at besides the database and the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    /// Refuses requests while the store is away.
    pub(crate) storage: StorageCheck,
    pub(crate) files: Vec<FileCheck>,
    pub(crate) http: Vec<HttpCheck>,
    pub(crate) tcp: Vec<TcpCheck>,
}

/// Whether requests are refused while the store is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageCheck {
    pub(crate) enabled: bool,
    pub(crate) interval: Duration,
    /// Failures in a row that count.
    pub(crate) threshold: usize,
}

/// A file that must not be there: whoever makes it takes the registry out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileCheck {
    pub(crate) file: Option<PathBuf>,
    pub(crate) interval: Duration,
}

/// An address that has to answer HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpCheck {
    pub(crate) uri: Option<Url>,
    pub(crate) headers: HeaderMap,
    /// What it answers when it is well.
    pub(crate) status: usize,
    pub(crate) timeout: Duration,
    pub(crate) interval: Duration,
    pub(crate) threshold: usize,
}

/// An address that has to take connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcpCheck {
    /// `<host>:<port>`
    pub(crate) addr: String,
    pub(crate) timeout: Duration,
    pub(crate) interval: Duration,
    pub(crate) threshold: usize,
}

impl Default for FileCheck {
    fn default() -> Self {
        Self { file: None, interval: INTERVAL }
    }
}

impl Default for HttpCheck {
    fn default() -> Self {
        let headers = HeaderMap::new();
        Self { uri: None, headers, status: 200, timeout: PATIENCE, interval: INTERVAL, threshold: 1 }
    }
}

impl Default for TcpCheck {
    fn default() -> Self {
        Self { addr: String::new(), timeout: PATIENCE, interval: INTERVAL, threshold: 1 }
    }
}

impl Default for StorageCheck {
    fn default() -> Self {
        Self { enabled: false, interval: INTERVAL, threshold: 3 }
    }
}

/// Runs all checks until what it answers with is dropped.
pub(crate) fn watch(health: &Health, registry: &Registry, checks: Checks) -> anyhow::Result<JoinSet<()>> {
    let mut watching = JoinSet::new();
    let database = health.check("database", 1, false);
    let asked = registry.clone();
    watching.spawn(again(INTERVAL, database, async move || in_time(PATIENCE, asked.ask_database()).await));
    let Checks { storage, files, http, tcp } = checks;
    let store = health.check("store", 1, false);
    let asked = registry.clone();
    watching.spawn(again(INTERVAL, store, async move || in_time(PATIENCE, asked.ask_store()).await));
    if storage.enabled {
        // The name that the CNCF registry gives it.
        let check = health.check("storagedriver_filesystem", storage.threshold, true);
        let asked = registry.clone();
        watching.spawn(again(storage.interval, check, async move || in_time(PATIENCE, asked.ask_store()).await));
    }
    for check in files {
        let Some(file) = check.file.clone() else { continue };
        let found = health.check(file.display().to_string(), 1, true);
        watching.spawn(again(check.interval, found, async move || FileCheck::ask(&file).await));
    }
    for check in http {
        let Some(uri) = check.uri.clone() else { continue };
        let client = HttpCheck::client(&uri).with_context(|| format!("health.http, {}", outgoing::shown(&uri)))?;
        let (interval, found) = (check.interval, health.check(outgoing::shown(&uri), check.threshold, true));
        let look = async move || in_time(check.timeout, check.ask(&client, uri.clone())).await;
        watching.spawn(again(interval, found, look));
    }
    for check in tcp {
        let found = health.check(check.addr.clone(), check.threshold, true);
        watching.spawn(again(check.interval, found, async move || in_time(check.timeout, check.ask()).await));
    }
    Ok(watching)
}

/// Looks at something, tells what was found, and rests.
async fn again(rest: Duration, check: HealthCheck, mut look: impl AsyncFnMut() -> Result<(), String>) {
    loop {
        match look().await {
            Ok(()) => check.succeeded(),
            Err(why) => check.failed(why),
        }
        tokio::time::sleep(rest).await;
    }
}

async fn in_time<E: fmt::Display>(limit: Duration, answer: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

impl FileCheck {
    async fn ask(file: &Path) -> Result<(), String> {
        match tokio::fs::metadata(file).await {
            Ok(_) => Err("the file is there".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl TcpCheck {
    async fn ask(&self) -> io::Result<()> {
        TcpStream::connect(&self.addr).await.map(drop)
    }
}

impl HttpCheck {
    /// Each time it is asked by a connection of its own.
    fn client(uri: &Url) -> reqwest::Result<Client> {
        outgoing::client(Some(uri), |client| client.redirect(Policy::none()).no_proxy().pool_max_idle_per_host(0))
    }

    async fn ask(&self, client: &Client, uri: Url) -> Result<(), String> {
        let answered = client.head(uri).headers(self.headers.clone()).send().await;
        let status = answered.map_err(|error| outgoing::why(&error))?.status();
        if usize::from(status.as_u16()) == self.status {
            return Ok(());
        }
        Err(format!("answered {status}, not {}", self.status))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::header;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    fn http(addr: SocketAddr) -> (HttpCheck, Url) {
        let headers = HeaderMap::from_iter([(header::USER_AGENT, "watch".parse().unwrap())]);
        (HttpCheck { headers, ..HttpCheck::default() }, format!("http://{addr}/up?x=1").parse().unwrap())
    }

    #[tokio::test]
    async fn an_address_that_answers_as_it_should_is_well() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (check, uri) = http(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut requests = Vec::new();
            for status in ["200 OK", "500 No"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                requests.push(String::from_utf8_lossy(&request[..read]).to_lowercase());
                stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
            }
            requests
        });
        let client = HttpCheck::client(&uri).unwrap();
        let ask = || check.ask(&client, uri.clone());
        ask().await.unwrap();
        let wrong = ask().await.unwrap_err();
        assert_eq!(wrong, "answered 500 Internal Server Error, not 200");
        let requests = server.await.unwrap();
        assert!(requests[0].starts_with("head /up?x=1 http/1.1\r\n"), "{requests:?}");
        assert!(requests[0].contains("user-agent: watch") && requests[0].contains("host: 127.0.0.1:"), "{requests:?}");
        assert!(ask().await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn an_address_that_takes_connections_is_well() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let check = TcpCheck { addr, ..TcpCheck::default() };
        check.ask().await.unwrap();
        drop(listener);
        assert!(check.ask().await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_there_is_not_well() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("down");
        FileCheck::ask(&file).await.unwrap();
        std::fs::write(&file, "").unwrap();
        assert_eq!(FileCheck::ask(&file).await.unwrap_err(), "the file is there");
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_is_not_well() {
        let never = std::future::pending::<io::Result<()>>();
        assert_eq!(in_time(Duration::from_millis(1), never).await.unwrap_err(), "no answer within 1ms");
    }
}
