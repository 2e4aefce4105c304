//! `cargohold serve`: puts the parts together, runs them, and stops them in order.

use std::{
    ffi::OsString,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use cargohold_access::Gate;
use cargohold_http::{
    Api, ApiOptions, Debug, Health, Management, Running, ServeOutcome, ServerOptions, serve_management,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use uuid::Uuid;

use crate::{
    banner::Banner, configuration::Configuration, data_folder::DataFolder, debug_listener, doors,
    exit_status::ExitStatus, health, inherited_data, logging::Logs, management_socket, metrics::Metrics, open,
    service_manager,
};

/// Runs the registry until it is told to stop, with the settings of the file, if one is named, and of the environment.
pub(crate) fn run(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<()> {
    let configuration = Configuration::load(file, environment)?;
    let logs = Logs::start(&configuration.logging)?;
    let ended = serve_logged(configuration, &logs);
    logs.flush();
    ended
}

fn serve_logged(mut configuration: Configuration, logs: &Logs) -> anyhow::Result<()> {
    let other = inherited_data::make_way(&mut configuration);
    for warning in &configuration.warnings {
        tracing::warn!("{warning}");
    }
    raise_file_limit();
    let gate = doors::gate(&configuration.auth)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // First of all, so that a start that fails here leaves no folder behind.
    let listener = runtime
        .block_on(TcpListener::bind(configuration.addr))
        .map_err(|error| cannot_listen(configuration.addr, error))?;
    let debug = runtime.block_on(debug_listener::listen(configuration.debug.addr))?;
    let folder = DataFolder::claim(&configuration.root_directory)?;
    if let Some(other) = other {
        runtime.block_on(inherited_data::adopt_once(&other, &folder, &configuration))?;
    }
    runtime.block_on(serve((listener, debug), configuration, gate, &folder, logs))
}

/// Says what is wrong with an address, and what to do.
fn cannot_listen(addr: SocketAddr, error: io::Error) -> anyhow::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "something else listens there; choose another port, as in CARGOHOLD__HTTP__ADDR=127.0.0.1:5001"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 stands for all that it has"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 are for privileged users; choose a higher one",
        _ => "choose another address with CARGOHOLD__HTTP__ADDR",
    };
    anyhow::Error::new(error).context(format!("http.addr: cannot listen on {addr}: {why}"))
}

/// Each connection and each blob under way is an open file, and the usual limit is a relic: it is raised as far as it may be.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, current = limit.current, "the limit of open files could not be raised");
    }
}

async fn serve(
    (listener, debug_listener): (TcpListener, Option<TcpListener>),
    configuration: Configuration,
    gate: Gate,
    folder: &DataFolder,
    logs: &Logs,
) -> anyhow::Result<()> {
    let registry = open::open(folder, &configuration).await?;
    registry.warn_of_stores_away();
    let Configuration { auth, limits, rules, pages, server, site, headers, debug, health: checks, .. } = configuration;
    let metrics = Metrics::new(registry.clone(), logs.clone());
    let numbers = metrics.numbers()?;
    let socket = management_socket::listen_in(folder.path()).with_context(|| {
        format!("cannot listen on the socket for the management commands in {}", folder.path().display())
    })?;
    reopen_logs_at_hangup(logs.clone())?;
    // From the banner on a signal is a request to stop in order.
    let stop = stop_asked_for(logs.clone())?;
    let machine = machine_name();
    announce(&Banner { addr: listener.local_addr()?, auth: &auth, data: folder.path(), machine: &machine });
    service_manager::tell(service_manager::READY);
    let mut house_keeping = tokio::spawn({
        let registry = registry.clone();
        async move { registry.keep_house().await }
    });
    let running = Running {
        version: env!("CARGO_PKG_VERSION"),
        started_at: open::now(),
        address: listener.local_addr()?.to_string(),
        metrics: metrics.http.clone(),
    };
    let management = Management::new(registry.clone(), gate.clone()).of_server(running);
    let management = tokio::spawn(serve_management(socket, Arc::new(management)));
    let health = Health::default();
    let _watching = health::watch(&health, &registry, checks);
    let options = ApiOptions { limits, rules, pages, site, headers, health: health.clone() };
    let api = Api::new(registry.clone(), gate, options, instance());
    let api = api.with_access_log(logs.access());
    let api = Arc::new(api.with_metrics(metrics.http.clone(), debug_listener.is_none().then(|| numbers.clone())));
    let _debug = debug_listener.map(|listener| {
        let numbers = debug.prometheus.then(|| (debug.path.clone(), numbers));
        debug_listener::serve(listener, Debug { numbers, health })
    });
    let server = ServerOptions { connections: metrics.http.connections.clone(), ..server };
    let service = move |request, connection| {
        let api = api.clone();
        async move { api.handle(request, connection).await }
    };
    let serving = cargohold_http::serve(listener, service, stop, server);
    let outcome = tokio::select! {
        outcome = serving => outcome,
        ended = &mut house_keeping => anyhow::bail!("what deletes discarded bytes broke off: {ended:?}"),
    };
    management.abort();
    house_keeping.abort();
    registry.close().await;
    match outcome {
        ServeOutcome::Drained => tracing::info!("stopped, all requests were finished"),
        ServeOutcome::CutOff { connections } => tracing::warn!(connections, "stopped, cutting off what took too long"),
    }
    Ok(())
}

fn machine_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or("this-machine".to_owned(), |name| name.trim().to_owned())
}

/// Begins the ids of this start's requests.
fn instance() -> String {
    let id = Uuid::now_v7().simple().to_string();
    // The last digits are the random ones.
    id[id.len() - 8..].to_owned()
}

/// Standard output may be closed, or a pipe that nobody reads any more: no reason not to serve.
fn announce(banner: &Banner<'_>) {
    let mut output = io::stdout().lock();
    if write!(output, "{banner}").and_then(|()| output.flush()).is_err() {
        tracing::info!(addr = %banner.addr, "ready");
    }
}

/// At SIGHUP the files of the logs are opened anew: something moved them away.
fn reopen_logs_at_hangup(logs: Logs) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            logs.reopen();
        }
    });
    Ok(())
}

/// Waits for the first signal that asks for a stop. The second ends the process without waiting for anything, which is safe at
/// any time: what was acknowledged is durable.
fn stop_asked_for(logs: Logs) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut asked = async move || tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} };
    Ok(async move {
        asked().await;
        tracing::info!("stopping once running requests are done; ask again to stop at once");
        service_manager::tell(service_manager::STOPPING);
        tokio::spawn(async move {
            asked().await;
            logs.flush();
            std::process::exit(ExitStatus::StoppedAtOnce.code().into());
        });
    })
}
