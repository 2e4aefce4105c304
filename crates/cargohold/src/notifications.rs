//! Notifications, as far as they leave the program: the endpoints of the configuration, what is sent to them and how, and the
//! commands that show how they are doing. What is told, and when, is `registry`'s business.

pub(crate) mod command;
mod courier;
mod signature;

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use cargohold_registry::{Action, Addressee, Courier, Endpoint, Notifications, Registry, Source};
use reqwest::{Url, header::HeaderMap};
use uuid::Uuid;

use signature::Secret;

/// The endpoints of the configuration, as it was said.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotificationSettings {
    /// Whom to tell.
    pub(crate) endpoints: Vec<EndpointSettings>,
    /// Whether an event about a manifest names what it refers to.
    pub(crate) include_references: bool,
}

/// An endpoint of the configuration, as it was said.
#[derive(Clone, Debug)]
pub(crate) struct EndpointSettings {
    /// What it is told, and when.
    pub(crate) told: Endpoint,
    /// More types of content that it is not told of, by their older key.
    pub(crate) ignored_media_types: Vec<String>,
    /// Whether it is told of pulls. What is said of a configuration as a whole decides where nothing is.
    pub(crate) pulls: Option<bool>,
    /// Where it is.
    pub(crate) url: Option<Url>,
    /// Sent with each event.
    pub(crate) headers: HeaderMap,
    /// How long it may take to answer.
    pub(crate) timeout: Option<Duration>,
    /// Signs what is sent.
    pub(crate) secret: Option<String>,
}

/// Who brings events to the endpoints: the same as long as the configuration says the same of how they are sent.
#[derive(Default)]
pub(crate) struct Couriers(Vec<(EndpointSettings, Courier)>);

/// What is wrong with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    /// It has no name.
    #[error(
        "notifications.endpoints[{0}] has no name\n  Say how it is called in the log and by the commands: `name: <name>`"
    )]
    Nameless(usize),
    /// Two have one name.
    #[error(
        "notifications.endpoints[{0}]: another endpoint is called {1} too\n  What waits for an endpoint is kept by its name: give each its own"
    )]
    Twice(usize, String),
    /// Nobody knows where it is.
    #[error("notifications.endpoints[{0}], {1}, has no url\n  Say where events are sent: `url: https://<host>/<path>`")]
    Nowhere(usize, String),
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            told: Endpoint::default(),
            ignored_media_types: Vec::new(),
            pulls: None,
            url: None,
            headers: HeaderMap::new(),
            timeout: None,
            secret: None,
        }
    }
}

impl EndpointSettings {
    /// What it is told, and when. Where nothing counts as said, it is as if nothing was.
    fn endpoint(&self) -> Endpoint {
        let Endpoint { threshold, backoff, .. } = Endpoint::default();
        let mut endpoint = self.told.clone();
        endpoint.ignored_media_types.extend(self.ignored_media_types.iter().cloned());
        if self.pulls == Some(false) && !endpoint.ignored_actions.contains(&Action::Pull) {
            endpoint.ignored_actions.push(Action::Pull);
        }
        if endpoint.threshold == 0 {
            endpoint.threshold = threshold;
        }
        if endpoint.backoff.is_zero() {
            endpoint.backoff = backoff;
        }
        endpoint
    }

    /// Whether what is sent to one is sent to the other, in the same way.
    fn is_sent_as(&self, other: &Self) -> bool {
        let way = |of: &Self| (of.told.name.clone(), of.url.clone(), of.timeout, of.secret.clone());
        way(self) == way(other) && self.headers == other.headers
    }

    fn secret(&self) -> Option<Secret> {
        self.secret.as_deref().map(Secret::new)
    }
}

impl NotificationSettings {
    /// Says what was not said: whether endpoints are told of pulls, and how long they may take.
    pub(crate) fn default_to(&mut self, pulls: bool, timeout: Duration) {
        for endpoint in &mut self.endpoints {
            endpoint.pulls.get_or_insert(pulls);
            endpoint.timeout = endpoint.timeout.filter(|timeout| !timeout.is_zero()).or(Some(timeout));
        }
    }

    /// What is wrong with the first that something is wrong with.
    pub(crate) fn check(&self) -> Result<(), EndpointError> {
        let mut names = BTreeSet::new();
        for (place, endpoint) in self.endpoints.iter().enumerate() {
            let name = &endpoint.told.name;
            if name.is_empty() {
                return Err(EndpointError::Nameless(place));
            }
            if !names.insert(name) {
                return Err(EndpointError::Twice(place, name.clone()));
            }
            if endpoint.url.is_none() && !endpoint.told.disabled {
                return Err(EndpointError::Nowhere(place, name.clone()));
            }
        }
        Ok(())
    }

    /// Who is told, where nothing is delivered: it is only written down.
    pub(crate) fn written_down(&self) -> Notifications {
        self.told_by(self.endpoints.iter().map(|_| courier::nobody()))
    }

    fn told_by(&self, couriers: impl Iterator<Item = Courier>) -> Notifications {
        let addressee =
            |(settings, courier): (&EndpointSettings, _)| Addressee { endpoint: settings.endpoint(), courier };
        let endpoints = self.endpoints.iter().zip(couriers).map(addressee).collect();
        Notifications { endpoints, include_references: self.include_references }
    }

    /// Who is told, in words.
    pub(crate) fn in_words(&self) -> String {
        let told = self.endpoints.iter().filter(|endpoint| !endpoint.told.disabled);
        let told: Vec<String> = told
            .map(|endpoint| {
                let pulls =
                    if endpoint.endpoint().ignored_actions.contains(&Action::Pull) { "" } else { ", of pulls too" };
                let signed = if endpoint.secret.is_some() { ", signed" } else { "" };
                format!("{}{pulls}{signed}", endpoint.told.name)
            })
            .collect();
        if told.is_empty() { "go to nobody".to_owned() } else { format!("go to {}", told.join("; ")) }
    }
}

impl Couriers {
    /// Who is told, and by whom.
    pub(crate) fn told(&mut self, settings: &NotificationSettings) -> anyhow::Result<Notifications> {
        let courier = |endpoint: &EndpointSettings| match self.0.iter().find(|(known, _)| known.is_sent_as(endpoint)) {
            Some((_, courier)) => Ok((endpoint.clone(), courier.clone())),
            None => courier::courier(endpoint).map(|courier| (endpoint.clone(), courier)),
        };
        self.0 = settings.endpoints.iter().map(courier).collect::<anyhow::Result<_>>()?;
        Ok(settings.told_by(self.0.iter().map(|(_, courier)| courier.clone())))
    }
}

/// Has a registry write down what its endpoints are to be told. `address` is what they know this process by.
pub(crate) async fn begin(notifications: &Notifications, registry: &Registry, address: String) -> anyhow::Result<()> {
    let source = Source { address, instance: Uuid::now_v7().to_string() };
    let random = || getrandom::u64().unwrap_or_default();
    registry.set_notifications(notifications, source, random).await.context("notifications.endpoints")
}
