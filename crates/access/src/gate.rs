//! The gate: who is asking, and what they may do.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use cargohold_oci::RepositoryName;

use crate::{
    Credentials, Htpasswd, HtpasswdError, Scope, TokenKey,
    htpasswd::Rejected,
    permit::{CatalogPermit, OperatorPermit, Permit, PullAnywhere, Right},
    scope::Action,
    token::Claims,
};

/// Answers who may do what. Cheap to clone; all clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Mode);

/// How callers are told apart.
#[derive(Clone, Debug)]
enum Mode {
    /// Everybody on this machine may do everything. The registry listens where only this machine reaches it, and answers to
    /// this machine's names only: a browser here that a stranger's page sent is a stranger.
    ThisMachine,
    /// Everybody who can reach the registry may do everything. What keeps it safe is who can.
    Open,
    /// Whoever has a password may do everything; what others may is said.
    Passwords(Arc<Passwords>),
}

/// Who may do what where passwords are asked for.
#[derive(Debug)]
pub struct Passwords {
    /// The users.
    pub users: Arc<Htpasswd>,
    /// What the browser says that asks for a password.
    pub realm: String,
    /// Whether those who show no password may read everything.
    pub anonymous_pull: bool,
    /// Signs the tokens.
    pub key: TokenKey,
    /// The time.
    pub clock: fn() -> SystemTime,
}

/// Somebody who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Who);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    /// Somebody who showed no credentials.
    Anonymous,
    /// Somebody who showed a password.
    User(String),
    /// Somebody who showed a token.
    Token { user: Option<String>, access: Arc<[Scope]> },
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
    /// Who says to have sent it: `Authorization`.
    pub authorization: Option<&'r str>,
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
    /// The credentials are not those of any user.
    #[error("wrong user name or password")]
    WrongPassword,
    /// The header is nothing that could be checked.
    #[error(transparent)]
    Credentials(#[from] crate::CredentialsError),
    /// The token is none of ours, its time is over, or its user has no such password any more.
    #[error("the token is not valid, or not any more: fetch another")]
    InvalidToken,
    /// So many passwords are being checked that this one had to be left.
    #[error("too many sign-ins at a time")]
    Busy,
}

/// Why somebody may not do something: their credentials are missing, or not good for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct Denied {
    /// What would have been needed; none where any valid credentials do.
    pub needed: Option<Scope>,
    /// Whether a token was shown that is not good for it.
    pub has_token: bool,
}

/// A token, and what it is good for.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The token.
    pub token: String,
    /// What it is good for, which may be less than what was asked for.
    pub access: Vec<Scope>,
    /// When it was made.
    pub issued_at: SystemTime,
}

/// How credentials are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge<'g> {
    /// A password with each request.
    Basic {
        /// What the browser says that asks for it.
        realm: &'g str,
    },
    /// A token, which a password is exchanged for, or none.
    Bearer,
}

impl Gate {
    /// Everybody on this machine may do everything.
    pub const fn this_machine() -> Self {
        Self(Mode::ThisMachine)
    }

    /// Everybody may do everything.
    pub const fn open() -> Self {
        Self(Mode::Open)
    }

    /// Those who have a password may do everything.
    pub fn passwords(passwords: Passwords) -> Self {
        Self(Mode::Passwords(Arc::new(passwords)))
    }

    /// Has what the gate goes by read again, where that is a file; none where there is none. Blocks.
    ///
    /// A file that cannot be read changes nothing.
    pub fn read_again(&self) -> Option<Result<(), HtpasswdError>> {
        match &self.0 {
            Mode::Passwords(passwords) => Some(passwords.users.read_again()),
            Mode::ThisMachine | Mode::Open => None,
        }
    }

    /// Who a request comes from.
    pub async fn admit(&self, request: Provenance<'_>) -> Result<Caller, Refusal> {
        if let (Mode::ThisMachine, Some(host)) = (&self.0, request.host)
            && !names_this_machine(host)
        {
            return Err(Refusal::ForeignHost { host: host.to_owned() });
        }
        if let Some(origin) = request.origin
            && request.writes
            && site(origin) != request.host
        {
            return Err(Refusal::ForeignOrigin { origin: origin.to_owned() });
        }
        match (&self.0, request.authorization) {
            (Mode::Passwords(passwords), Some(header)) => passwords.identify(Credentials::parse(header)?).await,
            // Where everybody may do everything, nobody has to prove anything.
            _ => Ok(Caller::ANONYMOUS),
        }
    }

    /// Who shows this password, where passwords are asked for.
    pub async fn sign_in(&self, user: &str, password: &str) -> Result<Caller, Refusal> {
        let credentials = Credentials::Password { user: user.to_owned(), password: password.to_owned() };
        match &self.0 {
            Mode::Passwords(passwords) => passwords.identify(credentials).await,
            Mode::ThisMachine | Mode::Open => Ok(Caller::ANONYMOUS),
        }
    }

    /// How credentials are asked for; none where nobody needs any.
    pub fn challenge(&self) -> Option<Challenge<'_>> {
        match &self.0 {
            Mode::ThisMachine | Mode::Open => None,
            // Docker pulls without a password and pushes with one only if it is sent for a token.
            Mode::Passwords(passwords) if passwords.anonymous_pull => Some(Challenge::Bearer),
            Mode::Passwords(passwords) => Some(Challenge::Basic { realm: &passwords.realm }),
        }
    }

    /// A token for what of `wanted` the caller may do. Only a password gets more than what everybody may.
    pub fn token(&self, caller: &Caller, wanted: Vec<Scope>) -> Result<Granted, Denied> {
        let denied = Denied { needed: None, has_token: false };
        let Mode::Passwords(passwords) = &self.0 else { return Err(denied) };
        let user = match &caller.0 {
            Who::User(user) => Some(user.clone()),
            Who::Anonymous | Who::Token { .. } | Who::Operator => None,
        };
        let access: Vec<Scope> = match user {
            Some(_) => wanted,
            None if passwords.anonymous_pull => wanted.iter().filter_map(Scope::reading).collect(),
            None => return Err(denied),
        };
        let password = user.as_deref().and_then(|user| passwords.users.version(user));
        let issued_at = (passwords.clock)();
        let claims = Claims::from_now(issued_at, user, password, access);
        Ok(Granted { token: passwords.key.sign(&claims), access: claims.access, issued_at })
    }

    /// Whether the caller may know that there is a registry: clients ask that to find out whether their credentials are right.
    pub fn greet(&self, caller: &Caller) -> Result<(), Denied> {
        match (&self.0, &caller.0) {
            (Mode::Passwords(_), Who::Anonymous) => Err(Denied { needed: None, has_token: false }),
            _ => Ok(()),
        }
    }

    /// The permit to see and steer the registry itself, if the caller may.
    pub fn operator(&self, caller: &Caller) -> Option<OperatorPermit> {
        (caller.0 == Who::Operator).then(OperatorPermit::new)
    }

    /// The permit to see which repositories there are.
    pub fn catalog(&self, caller: &Caller) -> Result<CatalogPermit, Denied> {
        self.allow(caller, Scope::catalog).map(|()| CatalogPermit::new())
    }

    /// The permit to read from every repository, if the caller may.
    pub fn pull_anywhere(&self, caller: &Caller) -> Option<PullAnywhere> {
        let may = match (&self.0, &caller.0) {
            (Mode::ThisMachine | Mode::Open, _)
            | (_, Who::Operator | Who::User(_) | Who::Token { user: Some(_), .. }) => true,
            (Mode::Passwords(passwords), Who::Anonymous | Who::Token { user: None, .. }) => passwords.anonymous_pull,
        };
        may.then(PullAnywhere::new)
    }

    /// The permit for `R` on a repository, whether or not there is one of that name.
    pub fn permit<R: Right>(&self, caller: &Caller, repository: RepositoryName) -> Result<Permit<R>, Denied> {
        // What adds also looks whether it is there: clients ask for both.
        let actions: &[Action] = if R::ACTION == Action::Push { &[Action::Pull, Action::Push] } else { &[R::ACTION] };
        self.allow(caller, || Scope::of(&repository, actions)).map(|()| Permit::new(repository))
    }

    /// Most callers may do everything: what would be needed is worked out for the others alone.
    fn allow(&self, caller: &Caller, needed: impl FnOnce() -> Scope) -> Result<(), Denied> {
        let Mode::Passwords(passwords) = &self.0 else { return Ok(()) };
        let access = match &caller.0 {
            Who::Operator | Who::User(_) => return Ok(()),
            Who::Anonymous => None,
            Who::Token { access, .. } => Some(access),
        };
        let (needed, has_token) = (needed(), access.is_some());
        let may = match access {
            Some(access) => access.iter().any(|scope| scope.covers(&needed)),
            None => passwords.anonymous_pull && needed.reading().as_ref() == Some(&needed),
        };
        if may { Ok(()) } else { Err(Denied { needed: Some(needed), has_token }) }
    }
}

impl Passwords {
    async fn identify(&self, credentials: Credentials) -> Result<Caller, Refusal> {
        match credentials {
            Credentials::Password { user, password } => match self.users.check(&user, &password).await {
                Ok(()) => Ok(Caller(Who::User(user))),
                Err(Rejected::Wrong) => Err(Refusal::WrongPassword),
                Err(Rejected::Busy) => Err(Refusal::Busy),
            },
            Credentials::Token(token) => {
                let Claims { user, password, access, .. } =
                    self.key.read(&token, (self.clock)()).ok_or(Refusal::InvalidToken)?;
                let is_current = match &user {
                    Some(user) => password.is_some() && self.users.version(user) == password,
                    None => self.anonymous_pull,
                };
                if !is_current {
                    return Err(Refusal::InvalidToken);
                }
                Ok(Caller(Who::Token { user, access: access.into() }))
            }
        }
    }
}

impl Caller {
    /// Somebody who showed no credentials.
    pub const ANONYMOUS: Self = Self(Who::Anonymous);
    /// Whoever may open what only the registry's own user may open.
    pub const OPERATOR: Self = Self(Who::Operator);

    /// Their name, if they have one.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Who::User(user) | Who::Token { user: Some(user), .. } => Some(user),
            Who::Anonymous | Who::Token { user: None, .. } | Who::Operator => None,
        }
    }
}

impl Denied {
    fn words(&self) -> String {
        match &self.needed {
            Some(needed) if self.has_token => format!("the token is not good for {needed}: fetch one that is"),
            Some(needed) => format!("sign in to do this: {needed}"),
            None => "sign in to use this registry".to_owned(),
        }
    }
}

/// Whether nobody else can make this name mean their machine, or theirs mean this one (RFC 6761 §6.3).
pub fn names_this_machine(host: &str) -> bool {
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
mod tests;
