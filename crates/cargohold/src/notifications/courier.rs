//! Brings events to endpoints, over HTTP: one POST each, and what the answer means.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::Context;
use cargohold_registry::{Courier, Parcel, Sent};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::{Attempt, Policy},
};

use super::{EndpointSettings, signature::Secret};
use crate::outgoing;

const EVENTS: HeaderValue = HeaderValue::from_static("application/vnd.docker.distribution.events.v2+json");
/// Redirects that one event follows.
const MOST_REDIRECTS: usize = 5;
/// How long an endpoint may take where nothing is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// As much of an answer is read, in bytes, so that the connection can be used again.
const MOST_ANSWER: usize = 64 * 1024;

/// One endpoint, and the connections to it.
struct Destination {
    name: String,
    /// None where nothing is sent.
    url: Option<Url>,
    headers: HeaderMap,
    timeout: Duration,
    secret: Option<Secret>,
    client: Client,
    /// It was told that a redirect is not followed.
    has_redirected: AtomicBool,
}

/// Who brings events to an endpoint.
pub(super) fn courier(endpoint: &EndpointSettings) -> anyhow::Result<Courier> {
    let destination = Arc::new(Destination::new(endpoint)?);
    Ok(Arc::new(move |parcel| {
        let destination = destination.clone();
        Box::pin(async move { destination.send(parcel).await })
    }))
}

/// Nobody does.
pub(super) fn nobody() -> Courier {
    Arc::new(|_| Box::pin(std::future::ready(Sent::Failed { reason: "nothing is sent".to_owned(), pause: None })))
}

/// A redirect is followed that keeps the request as it is and leads to the same host. Others are the endpoint's answer: what was
/// meant for one host, with its headers, is nobody else's business.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let keeps = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let leads_on = attempt.previous().last().is_some_and(|from| is_same_host(from, attempt.url()));
    if !keeps || !leads_on {
        attempt.stop()
    } else if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("too many redirects")
    } else {
        attempt.follow()
    }
}

fn is_same_host(from: &Url, to: &Url) -> bool {
    let port = from.port_or_known_default() == to.port_or_known_default();
    let to_tls = from.scheme() == "http" && to.scheme() == "https";
    from.host_str() == to.host_str() && (to_tls || (port && from.scheme() == to.scheme()))
}

impl Destination {
    fn new(settings: &EndpointSettings) -> anyhow::Result<Self> {
        let name = settings.told.name.clone();
        let timeout = settings.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let client = outgoing::client(settings.url.as_ref(), |client| {
            client.timeout(timeout).redirect(Policy::custom(redirect)).pool_max_idle_per_host(1)
        });
        let client =
            client.with_context(|| format!("notifications.endpoints, {name}: nothing can be sent over TLS"))?;
        Ok(Self {
            name,
            url: settings.url.clone(),
            headers: settings.headers.clone(),
            timeout,
            secret: settings.secret(),
            client,
            has_redirected: AtomicBool::new(false),
        })
    }

    async fn send(&self, parcel: Parcel) -> Sent {
        let Some(url) = self.url.clone() else {
            return Sent::Failed { reason: "it has no url".to_owned(), pause: None };
        };
        let mut request = self.client.post(url).header(CONTENT_TYPE, EVENTS);
        if let Some(secret) = &self.secret {
            for (name, value) in secret.headers(&parcel.id, SystemTime::now(), &parcel.body) {
                request = request.header(name, value);
            }
        }
        // Last, so that what the operator says wins.
        match request.body(parcel.body).headers(self.headers.clone()).send().await {
            Ok(response) => self.judge(response).await,
            Err(error) => Sent::Failed { reason: self.explain(&error), pause: None },
        }
    }

    async fn judge(&self, mut response: Response) -> Sent {
        let status = response.status();
        let pause = wish(&response);
        let mut left = MOST_ANSWER;
        while let Ok(Some(chunk)) = response.chunk().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
        if status.is_redirection() && !self.has_redirected.swap(true, Ordering::Relaxed) {
            let endpoint = &self.name;
            tracing::warn!(endpoint, %status, "an endpoint redirects to where nothing is sent; what it was sent counts as delivered: \
                name the address that takes events in notifications.endpoints.url");
        }
        match status {
            status if status.is_success() || status.is_redirection() => Sent::Delivered,
            StatusCode::GONE => Sent::Gone,
            status => Sent::Failed { reason: format!("it answered {status}"), pause },
        }
    }

    /// Why it did not work.
    fn explain(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer came within {:?} (timeout)", self.timeout);
        }
        outgoing::why(error)
    }
}

/// For how long the endpoint wants to be left alone (RFC 9110 §10.2.3).
fn wish(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_the_same_host_or_nowhere() {
        let is_same = |from: &str, to: &str| is_same_host(&from.parse().unwrap(), &to.parse().unwrap());
        assert!(is_same("http://a/x", "http://a/y"));
        assert!(is_same("http://a/x", "https://a/x"));
        assert!(is_same("https://a/x", "https://a:443/x"));
        assert!(!is_same("https://a/x", "http://a/x"));
        assert!(!is_same("https://a/x", "https://b/x"));
        assert!(!is_same("http://a:8080/x", "http://a:9090/x"));
    }
}
