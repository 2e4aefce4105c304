//! What is wrong with a configuration, in words that say where, what, by which rule, and what to do about it.

use std::{fmt, net::SocketAddr, path::PathBuf};

use cargohold_oci::Excerpt;

use super::document::{Position, Value};

/// Where something was said. Displays as compilers write it, so that editors find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// By nobody.
    Default,
    /// In the file, by the name that the operator gave, or about the file as a whole.
    File(PathBuf, Option<Position>),
    /// In the environment variable of this name.
    Variable(String),
}

/// How many problems are told: nobody mends more before the next try, and the wrong file has a thousand.
const MOST_TOLD: usize = 20;

/// Why there is no start: all that was found, in the order of the file, then of the environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ConfigurationError(pub(crate) Vec<Problem>);

/// One thing that is wrong, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {fault}")]
pub(crate) struct Problem {
    pub(crate) origin: Origin,
    pub(crate) fault: Fault,
}

/// What can be wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("cannot read the configuration file: {0}\n  Name a file that this user may read, or none at all")]
    Unreadable(String),
    #[error(
        "the configuration file is larger than {most} bytes\n  Name the right file; a configuration is much smaller"
    )]
    TooLarge { most: u64 },
    #[error("{0}")]
    Document(String),
    #[error(
        "version 0.1 marks a configuration of the CNCF registry (distribution), which cannot be read yet\n  \
         Leave `version` out and write what you need with Cargohold's own keys; `cargohold serve --help` lists them"
    )]
    Inherited,
    #[error("version: Cargohold's own format has none\n  Leave it out")]
    Version,
    #[error("{key} is not a setting\n  The nearest one is {nearest}", key = Excerpt::of(key))]
    UnknownKey { key: String, nearest: String },
    #[error("{key} is one key with dots in it\n  Write each part as a level of its own, below the one before", key = Excerpt::of(.0))]
    Dotted(String),
    #[error("{section}: {value} is not a section\n  Write its keys in lines of their own below it, indented", value = Shown(value))]
    NotASection { section: String, value: Value },
    #[error("{key}: {value} is not {rule}\n  {advice}", value = Shown(value))]
    Value { key: &'static str, value: Value, rule: String, advice: String },
    #[error(
        "auth: it is open, and auth.htpasswd.path names those who may come in\n  \
         Leave one of the two out"
    )]
    OpenWithPasswords,
    #[error(
        "auth.anonymous: it says what people without a password may do, and nobody has one\n  \
         Name the file with the passwords in auth.htpasswd.path, or leave auth.anonymous out"
    )]
    AnonymousAlone,
    #[error("{key}: the value is not valid UTF-8\n  Write it in UTF-8")]
    Encoding { key: &'static str },
    #[error(
        "http.addr: other machines can reach {addr}, and auth is not set: anybody there could read and overwrite every image\n  \
         Listen on 127.0.0.1:{port}, where only this machine reaches it, or say that this is what you want: \
         CARGOHOLD__AUTH=open, or `auth: open` in the configuration file",
        port = addr.port()
    )]
    Exposed { addr: SocketAddr },
}

/// A value as a message quotes it.
struct Shown<'v>(&'v Value);

impl ConfigurationError {
    /// What was found, put in order.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| one.origin.cmp(&other.origin));
        Self(problems)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path, Some(at)) => write!(f, "{}:{at}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problems) = self;
        if problems.len() > 1 {
            writeln!(f, "the configuration has {} mistakes", problems.len())?;
        }
        let more = problems.len().saturating_sub(MOST_TOLD);
        let more = (more > 0).then(|| format!("and {more} more"));
        let texts: Vec<_> = problems.iter().take(MOST_TOLD).map(Problem::to_string).chain(more).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Text(text) => Excerpt::of(text).fmt(f),
            Value::List(_) => f.write_str("a list"),
            Value::Map(_) => f.write_str("a section"),
        }
    }
}
