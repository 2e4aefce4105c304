//! What a failure means: run it again, or tell the caller, and in which words.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::Error;

/// How often a transaction is run at the most. Whoever makes another run again has committed, so few need a third time.
const ATTEMPTS: u32 = 8;

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no connection to be had.
    NoConnection(Error),
    /// Nothing has happened.
    Undone(Error),
    /// The connection was lost during the commit.
    Unknown,
}

impl Failure {
    /// Whether another run may come through: it met a transaction that has ended since, or lost its connection.
    pub(super) fn again(&self, attempt: u32) -> bool {
        let error = match self {
            // So says a transaction that found out by itself.
            Self::Undone(Error::NotCommitted) => return attempt < ATTEMPTS,
            Self::Undone(Error::Server(error)) => error,
            _ => return false,
        };
        let met = error.code().is_some_and(|code| {
            // A unique violation: somebody made the row first, and another run finds it. If it is something else, it stays one.
            [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::UNIQUE_VIOLATION]
                .contains(code)
        });
        attempt < ATTEMPTS && (met || was_lost(error))
    }

    /// What the caller of a transaction is told.
    pub(super) fn error(self) -> Error {
        match self {
            Self::NoConnection(error) | Self::Undone(error) => Self::told(error),
            Self::Unknown => Error::OutcomeUnknown,
        }
    }

    /// An error in the words of the crate, of which nothing has happened.
    pub(super) fn told(error: Error) -> Error {
        let Error::Server(error) = error else { return error };
        let Some(code) = error.code() else {
            return if was_lost(&error) { not_committed(&error) } else { Error::Server(error) };
        };
        let busy = [
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
        ];
        match code {
            code if *code == SqlState::DISK_FULL => Error::NoSpace,
            code if busy.contains(code) => not_committed(&error),
            _ => Error::Server(error),
        }
    }
}

/// Whether a read that failed is asked once more, on another connection.
pub(super) fn read_again(error: &Error, attempt: u32) -> bool {
    attempt < ATTEMPTS && matches!(error, Error::Server(error) if was_lost(error))
}

/// Whether a commit that failed was refused. Everything else, a server that is shut down included, may have come after it.
pub(super) fn commit_was_refused(error: &tokio_postgres::Error) -> bool {
    // Classes 23 and 40: a constraint that was looked at last, or a rollback.
    error.code().is_some_and(|code| code.code().starts_with("23") || code.code().starts_with("40"))
}

/// The connection is gone; without a commit under way nothing has happened.
fn was_lost(error: &tokio_postgres::Error) -> bool {
    let shut_down = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN];
    error.is_closed()
        || error.code().is_some_and(|code| shut_down.contains(code))
        || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn not_committed(error: &tokio_postgres::Error) -> Error {
    tracing::warn!(%error, cause = ?error, "the database server undid what it was told");
    Error::NotCommitted
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Server(error),
            PoolError::Closed => Self::Closed,
            error => {
                tracing::warn!(%error, "no connection to the database server could be had");
                Self::NotCommitted
            }
        }
    }
}
