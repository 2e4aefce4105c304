//! The gate, and the modes it can be in.

use std::net::IpAddr;

use cargohold_oci::RepositoryName;

use crate::permit::{CatalogPermit, OperatorPermit, Permit, PullAnywhere, Right};

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everybody on this machine may do everything. The registry listens where only this machine reaches it, and answers to
    /// this machine's names only: a browser here that a stranger's page sent is a stranger.
    ThisMachine,
    /// Everybody who can reach the registry may do everything. What keeps it safe is who can.
    Open,
}

/// Somebody who asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who showed no credentials.
    Anonymous,
    /// Somebody who may open what only the registry's own user may open: the socket in its data folder, or that folder.
    Operator,
}

/// What a request says about where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Provenance<'r> {
    /// Whom it means to reach: `Host`, with or without a port.
    pub host: Option<&'r str>,
    /// The page that sent it, if a browser did: `Origin`.
    pub origin: Option<&'r str>,
    /// Whether it may change something.
    pub writes: bool,
}

/// Why somebody is not let in at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request means another machine: this one was given a stranger's name.
    #[error(
        "this registry is open to its own machine only and does not answer to the name {host:.100}; \
         use localhost, or start it with auth set to open"
    )]
    ForeignHost {
        /// The name.
        host: String,
    },
    /// A browser sent what another site's page made.
    #[error("a page of {origin:.100} must not write to this registry")]
    ForeignOrigin {
        /// The page's site.
        origin: String,
    },
}

/// Answers who may do what.
#[derive(Clone, Debug)]
pub struct Gate {
    mode: Mode,
}

impl Gate {
    /// A gate in that mode.
    pub const fn new(mode: Mode) -> Self {
        Self { mode }
    }

    /// Who a request without credentials comes from.
    pub fn admit(&self, request: Provenance<'_>) -> Result<Caller, Refusal> {
        if let (Mode::ThisMachine, Some(host)) = (self.mode, request.host)
            && !names_this_machine(host)
        {
            return Err(Refusal::ForeignHost { host: host.to_owned() });
        }
        match request.origin {
            Some(origin) if request.writes && site(origin) != request.host => {
                Err(Refusal::ForeignOrigin { origin: origin.to_owned() })
            }
            _ => Ok(Caller::Anonymous),
        }
    }

    /// The permit to see and steer the registry itself, if the caller may.
    pub fn operator(&self, caller: Caller) -> Option<OperatorPermit> {
        match caller {
            Caller::Operator => Some(OperatorPermit::new()),
            Caller::Anonymous => None,
        }
    }

    /// The permit to see which repositories there are.
    pub fn catalog(&self, caller: Caller) -> CatalogPermit {
        match (self.mode, caller) {
            (_, Caller::Operator) | (Mode::ThisMachine | Mode::Open, Caller::Anonymous) => CatalogPermit::new(),
        }
    }

    /// The permit to read from every repository, if the caller may.
    pub fn pull_anywhere(&self, caller: Caller) -> Option<PullAnywhere> {
        match (self.mode, caller) {
            (_, Caller::Operator) | (Mode::ThisMachine | Mode::Open, Caller::Anonymous) => Some(PullAnywhere::new()),
        }
    }

    /// The permit for `R` on a repository, whether or not there is one of that name.
    pub fn permit<R: Right>(&self, caller: Caller, repository: RepositoryName) -> Permit<R> {
        match (self.mode, caller) {
            (_, Caller::Operator) | (Mode::ThisMachine | Mode::Open, Caller::Anonymous) => Permit::new(repository),
        }
    }
}

/// Whether nobody else can make this name mean their machine, or theirs mean this one (RFC 6761 §6.3).
fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    address.is_ok_and(|address| address.to_canonical().is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
}

/// The host and port of a page's site.
fn site(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_scheme, site)| site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pull, Push};

    fn to(host: &str) -> Provenance<'_> {
        Provenance { host: Some(host), ..Provenance::default() }
    }

    #[test]
    fn whoever_is_let_in_may_pull_and_push_what_they_asked_for() {
        for mode in [Mode::ThisMachine, Mode::Open] {
            let gate = Gate::new(mode);
            let name: RepositoryName = "team/app".parse().unwrap();
            let caller = gate.admit(to("localhost:5000")).unwrap();
            assert_eq!(gate.permit::<Pull>(caller, name.clone()).repository(), &name);
            assert_eq!(format!("{:?}", gate.permit::<Push>(caller, name)), "Permit(push team/app)");
        }
    }

    #[test]
    fn only_the_operator_steers_the_registry() {
        for mode in [Mode::ThisMachine, Mode::Open] {
            assert!(Gate::new(mode).operator(Caller::Anonymous).is_none());
            assert!(Gate::new(mode).operator(Caller::Operator).is_some());
        }
    }

    #[test]
    fn a_registry_for_this_machine_answers_to_its_names_only() {
        let gate = Gate::new(Mode::ThisMachine);
        for host in [
            "localhost",
            "localhost:5000",
            "LOCALHOST.:1",
            "a.localhost:80",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(gate.admit(to(host)), Ok(Caller::Anonymous), "{host}");
        }
        for host in
            ["example.com", "localhost.example.com:5000", "192.0.2.1:5000", "[2001:db8::1]:5000", "notlocalhost", ""]
        {
            assert!(matches!(gate.admit(to(host)), Err(Refusal::ForeignHost { .. })), "{host}");
            assert!(Gate::new(Mode::Open).admit(to(host)).is_ok(), "{host}");
        }
        assert!(gate.admit(Provenance::default()).is_ok(), "HTTP/1.0 names no host, and no browser speaks it");
    }

    #[test]
    fn a_page_of_another_site_writes_nothing() {
        let from = |origin, writes| Provenance { host: Some("localhost:5000"), origin: Some(origin), writes };
        for mode in [Mode::ThisMachine, Mode::Open] {
            let gate = Gate::new(mode);
            for origin in ["http://example.com", "null", "http://localhost:8080"] {
                assert!(matches!(gate.admit(from(origin, true)), Err(Refusal::ForeignOrigin { .. })), "{origin}");
                assert!(
                    gate.admit(from(origin, false)).is_ok(),
                    "{origin} reads nothing either: the browser keeps it from the answer"
                );
            }
            assert!(gate.admit(from("http://localhost:5000", true)).is_ok());
        }
    }
}
