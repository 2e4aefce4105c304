//! Settings: what the configuration file and the environment say, resolved into what the program needs, or refused before
//! anything starts.
//!
//! The file becomes a tree that knows its lines ([`document`]); its keys are looked up in the one table of settings
//! ([`settings`], [`keys`]) and the environment is laid over them ([`layers`]): a setting `a.b` is `CARGOHOLD__A__B` there, and
//! `REGISTRY_A_B`, the first of which wins. A file that says `version: 0.1` is one of the CNCF registry ([`inherited`]): absent keys
//! have the meaning that they have there. Each value is read by its form ([`form`]) into the field that it is for ([`slot`]). What
//! is wrong is told with its place and what to do ([`problem`]), all at once. The help, the reference page and the example file are
//! made of the same table ([`reference`]), and what was resolved can be told back ([`told`]).
//!
//! Variables with one underscore, such as the `CARGOHOLD_PORT` that Kubernetes injects, are not settings. An unknown setting
//! in the environment warns, since others write there too; in our own file it is a mistake.

mod document;
mod form;
mod inherited;
mod keys;
mod layers;
mod listening;
mod problem;
mod reference;
mod settings;
mod slot;
mod told;
mod words;

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use cargohold_http::{Limits, Pages, ResponseHeaders, Rules, ServerOptions, SiteOptions, TlsSettings};
use cargohold_registry::{Lifetimes, Platforms, Scrub, UrlPattern, Urls, Validation};

use crate::{health::Checks, logging::Logging, notifications::NotificationSettings};
use layers::Layers;
use listening::Net;
pub(crate) use problem::ConfigurationError;
pub(crate) use problem::Origin;
use problem::{Fault, Findings, Problem};
pub(crate) use reference::{example, help};
pub(crate) use told::{Sections, Told};

use crate::{acme::AcmeSettings, listening::Place};

const PREFIX: &str = "CARGOHOLD__";
/// Longer than any registry runs.
const NEVER: Duration = Duration::from_hours(24 * 36_600);

/// What the program runs with.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// Whose rules are followed where nothing is said.
    pub(crate) kind: Kind,
    /// Where it listens.
    pub(crate) addr: Place,
    /// What connections come by there.
    net: Net,
    /// What TLS is to be.
    pub(crate) tls: TlsSettings,
    /// Who hands out certificates.
    pub(crate) acme: AcmeSettings,
    /// How callers are told apart.
    pub(crate) auth: Auth,
    /// The data folder.
    pub(crate) root_directory: PathBuf,
    /// How much of its disk is kept free, in bytes.
    pub(crate) reserve: usize,
    /// What clients may do at all.
    pub(crate) rules: Rules,
    /// How long the pages of lists are.
    pub(crate) pages: Pages,
    /// What may be pushed.
    pub(crate) validation: Validation,
    /// Whether less is asked of what is pushed.
    validation_off: bool,
    /// Which addresses layers may name, as it was said.
    urls: SaidUrls,
    /// Whether uploads are given up, as it was said.
    purging: Purging,
    /// How long things are left alone.
    pub(crate) lifetimes: Lifetimes,
    /// How often all bytes are read.
    pub(crate) scrub: Scrub,
    /// What one client may have of the server.
    pub(crate) limits: Limits,
    /// How connections are treated.
    pub(crate) server: ServerOptions,
    /// Where it is, as its clients see it.
    pub(crate) site: SiteOptions,
    /// What every answer has beside its own headers.
    pub(crate) headers: ResponseHeaders,
    /// What is answered to those who run the registry, and where.
    pub(crate) debug: DebugListener,
    /// What is logged, how and where.
    pub(crate) logging: Logging,
    /// What is looked at, to know whether the registry is well.
    pub(crate) health: Checks,
    /// Who is told what happens.
    pub(crate) notifications: NotificationSettings,
    /// What was set and has no effect, for the log.
    pub(crate) warnings: Vec<String>,
    /// Who said which setting.
    origins: Vec<(&'static str, Origin)>,
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours.
    #[default]
    Ours,
    /// That of the CNCF registry (distribution).
    Inherited,
}

/// What is answered to those who run the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DebugListener {
    /// Where; without it the registry's own listener tells the metrics to this machine.
    pub(crate) addr: Option<SocketAddr>,
    /// Whether the metrics are there.
    pub(crate) prometheus: bool,
    /// Their path there.
    pub(crate) path: String,
}

impl Default for DebugListener {
    fn default() -> Self {
        Self { addr: None, prometheus: true, path: "/metrics".to_owned() }
    }
}

/// Which addresses layers may name in `urls`, and which not.
#[derive(Debug, Default)]
struct SaidUrls {
    allow: Vec<UrlPattern>,
    deny: Vec<UrlPattern>,
}

/// Whether uploads that no byte comes to are given up.
#[derive(Debug)]
struct Purging {
    enabled: bool,
    dry_run: bool,
}

/// How callers are told apart, as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Auth {
    /// Everybody who reaches the registry may do everything.
    pub(crate) open: bool,
    /// The file with those who may.
    pub(crate) htpasswd: Option<PathBuf>,
    /// What people are told that a password is for.
    pub(crate) realm: String,
    /// Whether those who show no password may read everything.
    pub(crate) anonymous_pull: bool,
}

impl Default for Auth {
    fn default() -> Self {
        Self { open: false, htpasswd: None, realm: "Registry".to_owned(), anonymous_pull: false }
    }
}

impl Default for Configuration {
    /// A registry for this machine alone.
    fn default() -> Self {
        Self {
            kind: Kind::Ours,
            addr: Place::Tcp((Ipv4Addr::LOCALHOST, 5000).into()),
            net: Net::Tcp,
            tls: TlsSettings::default(),
            acme: AcmeSettings::default(),
            auth: Auth::default(),
            root_directory: PathBuf::from("./cargohold-data"),
            // Enough for the facts about many deletions, which is what gives space back.
            reserve: 64 << 20,
            rules: Rules::default(),
            pages: Pages::default(),
            validation: Validation::default(),
            validation_off: false,
            urls: SaidUrls::default(),
            purging: Purging { enabled: true, dry_run: false },
            lifetimes: Lifetimes::default(),
            scrub: Scrub::default(),
            limits: Limits::default(),
            server: ServerOptions::default(),
            site: SiteOptions::default(),
            headers: ResponseHeaders::default(),
            debug: DebugListener::default(),
            logging: Logging::default(),
            health: Checks::default(),
            notifications: NotificationSettings::default(),
            warnings: Vec::new(),
            origins: Vec::new(),
        }
    }
}

/// Reads a duration as settings have it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    form::duration(text).ok_or_else(|| "write numbers with units, as in 90s, 12h or 7d".to_owned())
}

impl Configuration {
    /// Reads the settings: defaults, over them the file if one is named, over that the environment.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigurationError> {
        let environment: Vec<_> = environment.into_iter().collect();
        let named = || environment.iter().find(|(name, _)| name == inherited::PATH).map(|(_, path)| path.into());
        let file: Option<PathBuf> = file.map(Path::to_owned).or_else(named);
        let mut layers = Layers::default();
        if let Some(path) = file {
            layers.file(&path);
        }
        layers.environment(environment);
        Self::resolve(layers)
    }

    /// Reads what was said, value by value.
    fn resolve(mut layers: Layers) -> Result<Self, ConfigurationError> {
        let mut findings = std::mem::take(&mut layers.findings);
        let mut configuration = match layers.kind {
            Kind::Ours => Self::default(),
            Kind::Inherited => Self::inherited(),
        };
        for setting in settings::all() {
            if let Some(said) = layers.said(setting.key) {
                setting.put(setting.key, said, &mut configuration, &mut findings);
                configuration.origins.push((setting.key, findings.origin(&said.at)));
            }
        }
        layers.findings = findings;
        configuration.combine(&mut layers);
        let wrong = inherited::one_driver(&layers);
        let wrong = wrong.or_else(|| configuration.exposed(&layers)).or_else(|| configuration.contradicts(&layers));
        let wrong = wrong.or_else(|| configuration.endpoint_wrong(&layers));
        let Findings { mut problems, warnings, .. } = layers.findings;
        if problems.is_empty() {
            problems.extend(wrong);
        }
        configuration.warnings = warnings;
        if problems.is_empty() { Ok(configuration) } else { Err(ConfigurationError::new(problems)) }
    }

    /// Puts together what several settings say.
    fn combine(&mut self, layers: &mut Layers) {
        if self.kind == Kind::Inherited && layers.said("auth").is_none() {
            self.auth.open = self.auth.htpasswd.is_none();
            if self.auth.open {
                layers.findings.warnings.push(inherited::nobody_named(&self.addr));
            }
        }
        let SaidUrls { allow, deny } = &self.urls;
        if self.kind == Kind::Inherited || !allow.is_empty() || !deny.is_empty() {
            self.validation.urls = Urls::Matching { allow: allow.clone(), deny: deny.clone() };
        }
        if self.validation_off {
            self.validation.urls = Urls::Any;
            self.validation.platforms = Platforms::None;
        }
        if !self.purging.enabled || self.purging.dry_run {
            self.lifetimes.idle_upload = NEVER;
        }
        if matches!(self.addr, Place::Unix(_)) && layers.said("http.net").is_none() {
            self.net = Net::Unix;
        }
        layers.findings.warnings.extend(self.listening_warnings());
        match self.kind {
            Kind::Ours => self.notifications.default_to(false, Duration::from_secs(10)),
            Kind::Inherited => self.notifications.default_to(true, Duration::from_secs(1)),
        }
    }

    /// What each setting is now, and who said it; nobody for a default.
    pub(crate) fn told(&mut self) -> Vec<(&'static str, Told, Option<Origin>)> {
        let origins = std::mem::take(&mut self.origins);
        let origin = |key| origins.iter().find(|(said, _)| *said == key).map(|(_, origin)| origin.clone());
        let told = settings::all().map(|setting| (setting.key, setting.tell(self), origin(setting.key))).collect();
        self.origins = origins;
        told
    }

    /// An address that others reach needs a word about who may do what.
    fn exposed(&self, layers: &Layers) -> Option<Problem> {
        let Place::Tcp(addr) = self.addr else { return None };
        if self.auth.open || self.auth.htpasswd.is_some() || self.addr.is_of_this_machine() {
            return None;
        }
        let origin = layers.said("http.addr").map_or(Origin::Default, |said| layers.findings.origin(&said.at));
        Some(Problem { origin, fault: Fault::Exposed { addr } })
    }

    /// Each endpoint needs a name of its own and an address.
    fn endpoint_wrong(&self, layers: &Layers) -> Option<Problem> {
        let wrong = self.notifications.check().err()?;
        let said = layers.said("notifications.endpoints");
        let origin = said.map_or(Origin::Default, |said| layers.findings.origin(&said.at));
        Some(Problem { origin, fault: Fault::Endpoint(wrong) })
    }

    /// Either everybody may do everything, or those with a password; what is said about the others needs some with one.
    fn contradicts(&self, layers: &Layers) -> Option<Problem> {
        let said = |key| layers.said(key).map_or(Origin::Default, |said| layers.findings.origin(&said.at));
        let Auth { open, htpasswd, anonymous_pull, .. } = &self.auth;
        match (open, htpasswd.is_some(), anonymous_pull) {
            (true, true, _) => Some(Problem { origin: said("auth"), fault: Fault::OpenWithPasswords }),
            (_, false, true) => Some(Problem { origin: said("auth.anonymous"), fault: Fault::AnonymousAlone }),
            _ => self.cannot_listen(layers),
        }
    }
}

#[cfg(test)]
mod tests;
