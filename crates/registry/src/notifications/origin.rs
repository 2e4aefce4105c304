//! The request that an event tells of.

use std::sync::Arc;

use serde::Serialize;

use crate::Registry;

/// Whose request something is done for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The request's id, as in the log.
    pub id: String,
    /// Where it came from: address and port.
    #[serde(rename = "addr", skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Whom it meant to reach.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Its method.
    pub method: String,
    /// What sent it.
    #[serde(rename = "useragent")]
    pub agent: String,
    /// Who sent it, if they have a name.
    #[serde(skip)]
    pub actor: Option<String>,
    /// Where the registry is for whoever sent it, as `https://registry.example`.
    #[serde(skip)]
    pub site: String,
}

impl Registry {
    /// The same registry, whose events say that this request made them.
    #[must_use]
    pub fn on_behalf_of(&self, origin: Origin) -> Self {
        Self(self.0.clone(), Some(Arc::new(origin)))
    }
}
