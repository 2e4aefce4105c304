//! What can go wrong with the database, by what the caller can do about it.

use std::fmt;

use rusqlite::ErrorCode;

/// Why a read or a transaction gave no answer. Of a transaction nothing has happened then, unless it is
/// [`OutcomeUnknown`](Self::OutcomeUnknown).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk that holds the database is full: free space and try again.
    #[error("no space left on device for the database")]
    NoSpace,
    /// The database was written by a newer Cargohold: use that one.
    #[error(transparent)]
    NewerSchema(NewerSchema),
    /// The database was written by an older Cargohold, and only a server brings it up to date.
    #[error(
        "the database has schema {found}, this program needs {known}: start the server once, it brings it up to date"
    )]
    OlderSchema {
        /// The newest schema version that the database has.
        found: i64,
        /// The one that this program needs.
        known: i64,
    },
    /// A row holds what the program never writes; somebody else changed it, or the file is damaged.
    #[error("the database holds an impossible {what}: {value:?}")]
    Impossible {
        /// What the value should have been.
        what: &'static str,
        /// The value, shortened.
        value: String,
    },
    /// The commit failed, or others hold the database or what the transaction needs of it: try again. Nothing has happened.
    #[error("the database could not commit")]
    NotCommitted,
    /// The connection to the database server was lost while it committed: the transaction has happened as a whole, or not at all,
    /// and nobody here knows which. Ask, or try again: every transaction of this crate finds out if it has happened before.
    #[error("the connection to the database was lost during a commit: it is not known if it has happened")]
    OutcomeUnknown,
    /// The database is being closed.
    #[error("the database is closed")]
    Closed,
    /// A copy of the database is not whole, or none of ours.
    #[error("it is damaged, or not a registry's: {0}")]
    Damaged(String),
    /// Asked of PostgreSQL what only the embedded database does.
    #[error("the facts are in PostgreSQL: copy them with pg_dump")]
    NotEmbedded,
    /// A copy of the database could not be synced.
    #[error("the copy of the database could not be written")]
    Copy(#[from] std::io::Error),
    /// The engine refused; the source says why.
    #[error("the database failed")]
    Engine(#[source] rusqlite::Error),
    /// The database server refused, or cannot be reached; the source says why.
    #[error("the database server failed")]
    Server(#[source] tokio_postgres::Error),
}

/// A database that a newer Cargohold has brought to its own schema.
#[derive(Debug, PartialEq, Eq)]
pub struct NewerSchema {
    /// The newest schema version that the database has.
    pub found: i64,
    /// The newest one that this program knows.
    pub known: usize,
    /// The version of Cargohold that brought it there, if it was written down.
    pub by: Option<String>,
}

impl fmt::Display for NewerSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, known, by } = self;
        let own = env!("CARGO_PKG_VERSION");
        write!(
            f,
            "the database has schema {found}, and this is Cargohold {own}, which knows schemas up to {known}\n  "
        )?;
        match by {
            Some(by) => write!(f, "Start Cargohold {by}, which brought it there, or a newer one; ")?,
            None => write!(f, "Start the newer Cargohold that wrote it; ")?,
        }
        write!(f, "or restore a backup from before the upgrade")
    }
}

impl std::error::Error for NewerSchema {}

impl Error {
    pub(crate) fn impossible(what: &'static str, value: impl std::fmt::Debug) -> Self {
        Self::Impossible { what, value: format!("{value:?}").chars().take(100).collect() }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::NotCommitted,
            _ => Self::Engine(error),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}
