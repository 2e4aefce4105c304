//! What the exporter's thread sends spans by. Whom it trusts, what it shows and for how long it waits is said by the variables that
//! OpenTelemetry defines for OTLP, those for traces first.

use std::{
    error::Error,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT;
use reqwest::{Certificate, Identity, blocking, redirect::Policy};

use super::TracesError;
use crate::outgoing;

/// Waits for each answer, in the exporter's thread.
#[derive(Debug)]
pub(super) struct Client {
    http: blocking::Client,
    /// It was told that nothing can be sent.
    is_failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Client {
    /// The exporter says that spans are lost, and not why.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.http.send_bytes(request).await;
        let failed = answer.as_ref().err();
        if !self.is_failing.swap(failed.is_some(), Ordering::Relaxed)
            && let Some(error) = failed.and_then(|error| error.downcast_ref())
        {
            tracing::warn!(why = outgoing::why(error), "the collector of traces does not answer");
        }
        answer
    }
}

impl Client {
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TracesError> {
        Ok(Self { http: client(variable)?, is_failing: AtomicBool::new(false) })
    }
}

fn client(variable: impl Fn(&str) -> Option<String>) -> Result<blocking::Client, TracesError> {
    let said = |name: &str| {
        let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
        names.into_iter().find_map(|name| variable(&name).filter(|value| !value.is_empty()))
    };
    let timeout = said("TIMEOUT").and_then(|milliseconds| milliseconds.parse().ok());
    let timeout = timeout.map_or(OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, Duration::from_millis);
    let mut client = blocking::Client::builder().redirect(Policy::none()).timeout(timeout);
    if !said("ENDPOINT").is_some_and(|endpoint| endpoint.to_ascii_lowercase().starts_with("https:")) {
        // A machine without certificates sends without TLS all the same.
        return client.tls_certs_only([]).build().map_err(TracesError::Tls);
    }
    if let Some(file) = said("CERTIFICATE") {
        client = client.tls_certs_only(trusted(&file)?);
    }
    if let Some(file) = said("CLIENT_CERTIFICATE") {
        client = client.identity(identity(&file, said("CLIENT_KEY").as_deref())?);
    }
    client.build().map_err(TracesError::Tls)
}

fn trusted(file: &str) -> Result<Vec<Certificate>, TracesError> {
    match Certificate::from_pem_bundle(&read(file)?) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unfit(file, "has no certificate in it: it takes PEM, with a line -----BEGIN CERTIFICATE-----")),
    }
}

/// What is shown to a collector that wants to see a certificate. Its key may be in the same file.
fn identity(file: &str, key: Option<&str>) -> Result<Identity, TracesError> {
    let mut pair = read(file)?;
    if let Some(key) = key {
        pair.extend(read(key)?);
    }
    Identity::from_pem(&pair).map_err(|error| {
        let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        unfit(file, format!("and its key (OTEL_EXPORTER_OTLP_CLIENT_KEY) cannot be used: {why}"))
    })
}

fn read(file: &str) -> Result<Vec<u8>, TracesError> {
    fs::read(file).map_err(|error| unfit(file, format!("cannot be read: {error}")))
}

fn unfit(file: &str, why: impl Into<String>) -> TracesError {
    TracesError::File { file: file.to_owned(), why: why.into() }
}
