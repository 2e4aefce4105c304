//! How a command reaches the registry: through the socket of the server that runs on its data folder, or, if none does, by opening
//! the folder itself. Both answer alike.

use std::{io, path::Path};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use cargohold_access::{Caller, Gate, OperatorPermit};
use cargohold_http::Management;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::{
    configuration::Configuration,
    data_folder::{self, DataFolder},
    inherited_data, management_socket, notifications, open,
    serve::machine_name,
};

/// A registry that answers an operator.
pub(crate) struct Operator {
    way: Way,
}

enum Way {
    /// A server runs, and listens there.
    Running(UnixStream),
    /// None runs: this command owns the folder until it ends.
    Stopped(Box<Management>, DataFolder),
}

impl Operator {
    /// Reaches the registry whose data folder the configuration names.
    pub(crate) async fn reach(configuration: &Configuration) -> anyhow::Result<Self> {
        let root = &configuration.root_directory;
        data_folder::require(root)?;
        let way = match management_socket::connect(root).await {
            Ok(stream) => Way::Running(stream),
            Err(error) if is_nobody(&error) => {
                let folder = DataFolder::claim(root)?;
                let registry = open::open(&folder, configuration).await?;
                let notifications = configuration.notifications.written_down();
                notifications::begin(&notifications, &registry, machine_name()).await?;
                Way::Stopped(Box::new(Management::new(registry, Gate::this_machine())), folder)
            }
            Err(error) => {
                return Err(
                    anyhow!(error).context(format!("cannot reach the server whose data is in {}", root.display()))
                );
            }
        };
        Ok(Self { way })
    }

    /// Reaches the server that runs on the data folder that the configuration names; none if none runs.
    pub(crate) async fn reach_server(configuration: &Configuration) -> anyhow::Result<Option<Self>> {
        let root = &configuration.root_directory;
        match management_socket::connect(root).await {
            Ok(stream) => Ok(Some(Self { way: Way::Running(stream) })),
            Err(error) if is_nobody(&error) => Ok(None),
            Err(error) => {
                Err(anyhow!(error).context(format!("cannot reach the server whose data is in {}", root.display())))
            }
        }
    }

    /// Whether a server runs.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.way, Way::Running(_))
    }

    /// Asks for something; answers what came back, or says why it was refused.
    pub(crate) async fn ask(self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request::builder().method(method).uri(path).header(header::HOST, "cargohold").body(body)?;
        let response = match self.way {
            Way::Running(stream) => send(stream, request).await.context("the server did not answer")?,
            Way::Stopped(management, folder) => {
                let changes = request.method() != Method::GET;
                let response = management.handle(request).await;
                if changes && response.status().is_success() {
                    management.settle().await;
                }
                management.close().await;
                drop(folder);
                response
            }
        };
        let answer: Value = serde_json::from_slice(response.body()).context("the server's answer is not JSON")?;
        if !response.status().is_success() {
            bail!("{}", answer["errors"][0]["message"].as_str().unwrap_or("the server refused without a word"));
        }
        Ok(answer)
    }
}

/// Nobody listens: no socket was ever made, or what is left of it is a dead server's.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

async fn send(stream: UnixStream, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
    let (mut requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (head, body) = requests.send_request(request.map(Full::new)).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, body))
}

/// Runs a command to its end.
pub(crate) fn run<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// Leave to see and steer the registry itself: whoever may open its data folder is its operator.
pub(crate) fn operator() -> anyhow::Result<OperatorPermit> {
    Gate::this_machine().operator(&Caller::OPERATOR).context("not the operator")
}

/// The settings that a command goes by.
pub(crate) fn configuration(file: Option<&Path>) -> anyhow::Result<Configuration> {
    let mut configuration = Configuration::load(file, std::env::vars_os())?;
    inherited_data::make_way(&mut configuration);
    Ok(configuration)
}
