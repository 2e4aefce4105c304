//! What is wrong with a configuration, in words that say where, what, by which rule, and what to do about it.

use std::{fmt, net::SocketAddr, path::PathBuf};

use cargohold_oci::Excerpt;

use super::{
    document::{Place, Position, Value},
    inherited::{Driver, Verdict},
};

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

/// What was found while the configuration was read, beside it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The file that is read.
    pub(crate) file: Option<PathBuf>,
    /// Whether a key that nobody knows only warns.
    pub(crate) lenient: bool,
    /// What stops the start.
    pub(crate) problems: Vec<Problem>,
    /// What was set and has no effect.
    pub(crate) warnings: Vec<String>,
}

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
        "version: Cargohold's own configuration has none, and that of the CNCF registry (distribution) has 0.1\n  \
         Leave it out, or write `version: 0.1` if this is a file of the CNCF registry"
    )]
    Version,
    #[error(
        "storage: no driver is named\n  Say where the data is: `storage: {{filesystem: {{rootdirectory: /var/lib/registry}}}}`"
    )]
    NoDriver,
    #[error(
        "storage: there are two drivers, {first} and {second}\n  Leave one of them; in the environment, REGISTRY_STORAGE={second} leaves the other out"
    )]
    SeveralDrivers { first: Driver, second: Driver },
    #[error("{key} is not there yet, and without it the registry would not be what was asked for\n  {advice}", key = Excerpt::of(key))]
    NotThere { key: String, advice: &'static str },
    #[error("{key}: the file {value} cannot be read: {reason}\n  Name a file that this user may read", value = Shown(value))]
    SecretFile { key: String, value: Value, reason: String },
    #[error("{key}: {reason}")]
    Behind { key: String, reason: String },
    #[error("{key} is not a setting\n  The nearest one is {nearest}", key = Excerpt::of(key))]
    UnknownKey { key: String, nearest: String },
    #[error("{key} is one key with dots in it\n  Write each part as a level of its own, below the one before", key = Excerpt::of(.0))]
    Dotted(String),
    #[error("{section}: {value} is not a section\n  Write its keys in lines of their own below it, indented", value = Shown(value))]
    NotASection { section: String, value: Value },
    #[error("{key}: {value} is not {rule}\n  {advice}", value = Shown(value))]
    Value { key: String, value: Value, rule: String, advice: String },
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
    #[error("{0}")]
    Endpoint(crate::notifications::EndpointError),
    #[error("{key}: the value is not valid UTF-8\n  Write it in UTF-8")]
    Encoding { key: String },
    #[error(
        "http.addr: other machines can reach {addr}, and auth is not set: anybody there could read and overwrite every image\n  \
         Listen on 127.0.0.1:{port}, where only this machine reaches it, or name a file of passwords in auth.htpasswd.path, \
         or say that this is what you want: CARGOHOLD__AUTH=open, or `auth: open` in the configuration file",
        port = addr.port()
    )]
    Exposed { addr: SocketAddr },
}

/// A value as a message quotes it.
struct Shown<'v>(&'v Value);

impl Findings {
    /// Where something was said, with the file.
    pub(crate) fn origin(&self, place: &Place) -> Origin {
        match place {
            Place::Document(at) => Origin::File(self.file.clone().unwrap_or_default(), Some(*at)),
            Place::Variable(name) => Origin::Variable(name.clone()),
        }
    }

    /// Something is wrong there.
    pub(crate) fn wrong(&mut self, place: &Place, fault: Fault) {
        self.problems.push(Problem { origin: self.origin(place), fault });
    }

    /// Something is wrong with the file, there or as a whole.
    pub(crate) fn wrong_in_file(&mut self, at: Option<Position>, fault: Fault) {
        let origin = Origin::File(self.file.clone().unwrap_or_default(), at);
        self.problems.push(Problem { origin, fault });
    }

    /// A key that is none: a mistake in our own file, and no more than a warning elsewhere.
    pub(crate) fn unknown(&mut self, place: &Place, key: String, nearest: String) {
        if self.lenient || matches!(place, Place::Variable(_)) {
            self.warn(place, &key, &format!("is not known and has no effect; the nearest one is {nearest}"));
        } else {
            self.wrong(place, Fault::UnknownKey { key, nearest });
        }
    }

    /// A key of the inherited configuration that is no setting of ours.
    pub(crate) fn without(&mut self, place: &Place, key: &str, verdict: &Verdict) {
        let mut stop = |advice| self.wrong(place, Fault::NotThere { key: key.to_owned(), advice });
        match verdict {
            Verdict::Stops(advice) => stop(advice),
            Verdict::Driver(Driver::Other(_)) => stop("Name storage.filesystem, the only driver as yet"),
            Verdict::Warns(why) => self.warn(place, key, &format!("has no effect: {why}")),
            Verdict::Driver(Driver::Filesystem) | Verdict::Nothing => {}
        }
    }

    fn warn(&mut self, place: &Place, key: &str, what: &str) {
        self.warnings.push(format!("{}: {} {what}", self.origin(place), Excerpt::of(key)));
    }
}

/// What somebody probably meant: first by the last part of the key, since that is often right and in the wrong section.
pub(crate) fn nearest(key: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    // Nobody means anything by a longer one, and the cost grows with its square.
    let key: String = key.chars().take(100).collect();
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |one: &str, other: &str| strsim::osa_distance(one, other);
    known.min_by_key(|known| (distance(&last(known), &last(&key)), distance(known, &key))).unwrap_or_default()
}

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
