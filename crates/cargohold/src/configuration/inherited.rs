//! The configuration of the CNCF registry (distribution), a file that says `version: 0.1`: what an absent key means there, and
//! which of its keys are no settings of ours.
//!
//! A key that restricts or moves data and that is not implemented stops the start, since what runs without it would be less safe
//! or elsewhere than its file says. What is only for comfort warns.

use std::{fmt, net::Ipv4Addr, path::PathBuf, time::Duration};

use cargohold_http::{Rules, ServerOptions, SiteOptions, TrustedProxy};

use super::{
    Auth, Configuration, DebugListener, Kind,
    document::{Node, Value},
    layers::Layers,
    problem::{Fault, Origin, Problem},
};
use crate::{
    listening::Place,
    logging::{AccessFormat, AccessLogging, Logging, Output},
};

/// What its files say that they are.
pub(crate) const VERSION: &str = "0.1";
/// What its variables begin with.
pub(crate) const PREFIX: &str = "REGISTRY_";
/// The variable that names the file, where the command line names none.
pub(crate) const PATH: &str = "REGISTRY_CONFIGURATION_PATH";

/// Where bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Driver {
    Filesystem,
    Other(&'static str),
}

/// What becomes of a key that is no setting of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The start; what to do about it.
    Stops(&'static str),
    /// As that; and it says where bytes are.
    Driver(Driver),
    /// It is said that it has no effect, and why.
    Warns(&'static str),
    /// It has no effect that anybody would miss.
    Nothing,
}

const fn driver(name: &'static str) -> Verdict {
    Verdict::Driver(Driver::Other(name))
}

/// Keys without a setting, with all that is below them.
pub(crate) const WITHOUT: &[(&str, Verdict)] = &[
    ("storage.s3", driver("s3")),
    ("storage.s3aws", driver("s3aws")),
    ("storage.azure", driver("azure")),
    ("storage.gcs", driver("gcs")),
    ("storage.swift", driver("swift")),
    ("storage.oss", driver("oss")),
    ("storage.inmemory", driver("inmemory")),
    ("storage.filesystem.maxthreads", Verdict::Nothing),
    ("storage.cache", Verdict::Nothing),
    ("storage.tag", Verdict::Nothing),
    ("storage.middleware", Verdict::Stops(MIDDLEWARE)),
    ("storage.redirect", Verdict::Nothing),
    ("storage.maintenance.uploadpurging.interval", Verdict::Nothing),
    (
        "auth.token",
        Verdict::Stops("Let people sign in with passwords, which auth.htpasswd names, or wait for a later version"),
    ),
    (
        "auth.silly",
        Verdict::Stops("It keeps nobody out: say so with `none`, or name a file of passwords in auth.htpasswd"),
    ),
    (
        "proxy",
        Verdict::Stops(
            "Leave it out to run a registry of its own, or wait for a later version to pull through from another",
        ),
    ),
    ("middleware", Verdict::Stops(MIDDLEWARE)),
    ("policy", Verdict::Stops("Leave it out to take every class of repository")),
    ("log.hooks", Verdict::Warns("nothing is mailed; have the alert rules watch the metrics")),
    ("redis", Verdict::Warns("nothing is cached there")),
    ("reporting", Verdict::Warns("nothing is reported to others")),
    ("compatibility", Verdict::Warns("manifests of schema 1 are not taken")),
    ("http.secret", Verdict::Nothing),
];

const MIDDLEWARE: &str = "Leave it out to serve everything from here";

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filesystem => f.write_str("filesystem"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl Configuration {
    /// What the inherited configuration means where it says nothing.
    pub(super) fn inherited() -> Self {
        Self {
            kind: Kind::Inherited,
            addr: Place::Tcp((Ipv4Addr::UNSPECIFIED, 5000).into()),
            auth: Auth { open: true, ..Auth::default() },
            root_directory: PathBuf::from("/var/lib/registry"),
            rules: Rules { deletes: false, ..Rules::default() },
            // It believes whoever asks, and sends whole addresses.
            site: SiteOptions {
                trusted_proxies: vec![TrustedProxy::Any],
                relative_urls: false,
                ..SiteOptions::default()
            },
            debug: DebugListener { prometheus: false, ..DebugListener::default() },
            logging: Logging {
                access: AccessLogging {
                    format: AccessFormat::Combined,
                    output: Output::Stdout,
                    ..AccessLogging::default()
                },
                ..Logging::default()
            },
            server: ServerOptions { h2c: false, drain: Duration::ZERO, ..ServerOptions::default() },
            ..Self::default()
        }
    }
}

/// The warning for a file that does not say who may come in.
pub(crate) fn nobody_named(addr: &Place) -> String {
    format!(
        "auth: nobody is named, so whoever reaches {addr} can read, overwrite and (if enabled) delete every image; \
         name a file of passwords in auth.htpasswd, or say `auth: none` if this is what you want"
    )
}

/// Whether a section is there and says that it is off: `disabled: true` in all that it lists, or nothing at all.
pub(crate) fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Text(_) => false,
        Value::List(items) => items.iter().all(is_off),
        Value::Map(entries) if entries.is_empty() => true,
        Value::Map(entries) => {
            if let Some(Value::Text(text)) = entries.get("disabled").map(|entry| &entry.node.value) {
                return text == "true";
            }
            let nested = |value: &Value| matches!(value, Value::List(_) | Value::Map(_) | Value::Null);
            entries.values().all(|entry| nested(&entry.node.value) && is_off(&entry.node))
        }
    }
}

/// Exactly one driver has to be named: anything else is refused by the CNCF registry too.
pub(crate) fn one_driver(layers: &Layers) -> Option<Problem> {
    let origin = |place| layers.findings.origin(place);
    let mut drivers = layers.drivers.iter();
    match (drivers.next(), drivers.next()) {
        (None, _) if layers.kind == Kind::Inherited => {
            let origin = layers.findings.file.clone().map_or(Origin::Default, |path| Origin::File(path, None));
            Some(Problem { origin, fault: Fault::NoDriver })
        }
        (Some((first, _)), Some((second, at))) => {
            Some(Problem { origin: origin(at), fault: Fault::SeveralDrivers { first: *first, second: *second } })
        }
        _ => None,
    }
}
