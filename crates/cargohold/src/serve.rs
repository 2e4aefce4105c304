//! `cargohold serve`: puts the parts together, runs them, and stops them in order.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use anyhow::Context;
use cargohold_access::Gate;
use cargohold_http::{
    Api, ApiOptions, Debug, Health, Management, Running, ServeOutcome, ServerOptions, Traces, serve_management,
};
use cargohold_metadata::Metadata;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    acme::{Acme, AcmeSettings, serve_proofs},
    banner::Banner,
    configuration::Configuration,
    data_folder::DataFolder,
    debug_listener, doors,
    exit_status::ExitStatus,
    health, inherited_data,
    listening::Entrance,
    logging::Logs,
    management_socket,
    metrics::Metrics,
    notifications::{self, Couriers},
    open,
    reload::{Reloading, Said},
    service_manager,
    traces::Exporting,
};

/// Files that are open beside connections and what they read, at the most: the database, logs, listeners.
const OTHER_FILES: u64 = 64;

/// Runs the registry until it is told to stop, with the settings of the file, if one is named, and of the environment.
pub(crate) fn run(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<()> {
    let (configuration, said) = Said::load(file, environment)?;
    let (traces, complaint) = match Exporting::begin() {
        Ok(traces) => (traces, None),
        Err(error) => (None, Some(error)),
    };
    let logs = Logs::start(&configuration.logging, traces.as_ref().map(Exporting::layer))?;
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    let ended = serve_logged((configuration, said), &logs, traces.clone());
    if let Some(traces) = traces {
        traces.end();
    }
    logs.flush();
    ended
}

fn serve_logged(
    (mut configuration, said): (Configuration, Said),
    logs: &Logs,
    traces: Option<Exporting>,
) -> anyhow::Result<()> {
    let other = inherited_data::make_way(&mut configuration);
    for warning in &configuration.warnings {
        tracing::warn!("{warning}");
    }
    raise_file_limit();
    bound_connections(&mut configuration.server);
    let gate = doors::gate(&configuration.auth)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // First of all, so that a start that fails here leaves no folder behind.
    let entrance = runtime.block_on(Entrance::open(&configuration))?;
    let debug = runtime.block_on(debug_listener::listen(configuration.debug.addr))?;
    let folder = DataFolder::claim(&configuration.root_directory)?;
    if let Some(other) = other {
        runtime.block_on(inherited_data::adopt_once(&other, &folder, &configuration))?;
    }
    runtime.block_on(serve((entrance, debug), (configuration, said), gate, &folder, (logs, traces)))
}

/// Each connection and each blob under way is an open file, and the usual limit is a relic: it is raised as far as it may be.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, current = limit.current, "the limit of open files could not be raised");
    }
}

/// Leaves files for what connections ask for: a connection that has to wait is better off than one whose blob cannot be opened.
fn bound_connections(server: &mut ServerOptions) {
    let Some(files) = getrlimit(Resource::Nofile).current else { return };
    let room = usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(usize::MAX).max(1);
    if room < server.connections {
        let wanted = server.connections;
        tracing::warn!(
            files,
            "http.limits.connections: {wanted} are more than {room}, which the limit of open files leaves room for"
        );
        server.connections = room;
    }
}

async fn serve(
    (mut entrance, debug_listener): (Entrance, Option<TcpListener>),
    (configuration, said): (Configuration, Said),
    gate: Gate,
    folder: &DataFolder,
    (logs, traces): (&Logs, Option<Exporting>),
) -> anyhow::Result<()> {
    let (registry, facts) = open::open_to_serve(folder, &configuration).await?;
    registry.warn_of_stores_away();
    let Configuration {
        auth,
        limits,
        rules,
        pages,
        server,
        site,
        headers,
        debug,
        health: checks,
        acme,
        notifications,
        ..
    } = configuration;
    let metrics = Metrics::new(registry.clone(), logs.clone());
    let numbers = metrics.numbers()?;
    let socket = management_socket::listen_in(folder.path()).with_context(|| {
        format!("cannot listen on the socket for the management commands in {}", folder.path().display())
    })?;
    // From the banner on a signal is a request to stop in order.
    let stop = stop_asked_for(logs.clone())?;
    let mut couriers = Couriers::default();
    let told = couriers.told(&notifications)?;
    let mut beside = JoinSet::new();
    let reloading = reloading(&entrance, &gate, logs).and("the endpoints", {
        let (registry, couriers) = (registry.clone(), Mutex::new(couriers));
        move || said.read_again(&registry, &mut couriers.lock().unwrap_or_else(PoisonError::into_inner))
    });
    beside.spawn(reloading.on_signal()?);
    if let Some(tls) = &entrance.tls {
        tls.count_in(metrics.http.clone());
    }
    keep_certificates(&mut entrance, acme, facts, &mut beside).await?;
    let machine = machine_name();
    notifications::begin(&told, &registry, entrance.place.on(&machine)).await?;
    let health = Health::default();
    let watching = health::watch(&health, &registry, checks)?;
    announce(&Banner {
        place: &entrance.place,
        tls: entrance.tls.is_some(),
        auth: &auth,
        data: folder.path(),
        machine: &machine,
    });
    service_manager::tell(service_manager::READY);
    let mut house_keeping = tokio::spawn({
        let registry = registry.clone();
        async move { registry.keep_house().await }
    });
    let mut notifying = tokio::spawn({
        let registry = registry.clone();
        async move { registry.notify_forever().await }
    });
    let running = Running {
        version: env!("CARGO_PKG_VERSION"),
        started_at: open::now(),
        address: entrance.place.to_string(),
        metrics: metrics.http.clone(),
        health: health.clone(),
    };
    let management = Management::new(registry.clone(), gate.clone()).of_server(running);
    let management = tokio::spawn(serve_management(socket, Arc::new(management)));
    let options = ApiOptions { limits, rules, pages, site, headers, health: health.clone() };
    let api = Api::new(registry.clone(), gate, options, instance());
    let api = api.with_access_log(logs.access()).with_traces(traces.map(|traces| Arc::new(traces) as Arc<dyn Traces>));
    let api = Arc::new(api.with_metrics(metrics.http.clone(), debug_listener.is_none().then(|| numbers.clone())));
    let _debug = debug_listener.map(|listener| {
        let numbers = debug.prometheus.then(|| (debug.path.clone(), numbers));
        debug_listener::serve(listener, Debug { numbers, health: health.clone() })
    });
    // Whoever sends requests here is to see it before connections are refused.
    let stop = async move {
        stop.await;
        health.stop();
    };
    let server = ServerOptions { metrics: metrics.http.connections.clone(), ..server };
    let service = move |request, connection| {
        let api = api.clone();
        async move { api.handle(request, connection).await }
    };
    let (door, _socket_file) = entrance.door();
    let serving = cargohold_http::serve(door, service, stop, server);
    let outcome = tokio::select! {
        outcome = serving => outcome,
        ended = &mut house_keeping => anyhow::bail!("what deletes discarded bytes broke off: {ended:?}"),
        ended = &mut notifying => anyhow::bail!("what tells endpoints of events broke off: {ended:?}"),
    };
    beside.shutdown().await;
    management.abort();
    house_keeping.abort();
    // Before what it looks at ends.
    drop(watching);
    // What it has not told yet is told after the next start.
    notifying.abort();
    registry.close().await;
    match outcome {
        ServeOutcome::Drained => tracing::info!("stopped, all requests were finished"),
        ServeOutcome::CutOff { connections } => tracing::warn!(connections, "stopped, cutting off what took too long"),
    }
    Ok(())
}

/// Has new certificates shown: those in files that change, and those that an authority hands out before the old ones run out.
async fn keep_certificates(
    entrance: &mut Entrance,
    acme: AcmeSettings,
    facts: Metadata,
    beside: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let Some(tls) = &entrance.tls else { return Ok(()) };
    beside.spawn(tls.clone().watch());
    if acme.hosts.is_empty() {
        return Ok(());
    }
    let (acme, proofs) = Acme::begin(acme, facts, tls.clone(), SystemTime::now).await?;
    beside.spawn(acme.run());
    if let Some(listener) = entrance.proofs.take() {
        beside.spawn(serve_proofs(listener, proofs));
    }
    Ok(())
}

/// What is read again when somebody asks for it.
fn reloading(entrance: &Entrance, gate: &Gate, logs: &Logs) -> Reloading {
    let logs = logs.clone();
    let reopen = move || {
        logs.reopen();
        Ok(())
    };
    let reloading = Reloading::new().and("the log", reopen).and_tls(entrance.tls.as_ref());
    if gate.challenge().is_none() {
        return reloading;
    }
    let gate = gate.clone();
    reloading.and("the users", move || gate.read_again().unwrap_or(Ok(())).map_err(|error| error.to_string()))
}

pub(crate) fn machine_name() -> String {
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
        tracing::info!(addr = %banner.place, "ready");
    }
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
