//! What a transaction is: a value that says all it needs, so that it can be handed to the one writer, and run again.

pub(crate) use sealed::Tx;

use crate::Timestamp;

/// Statements that commit together. Implementors are the named transactions of this crate; the trait is sealed.
pub trait Transaction: sealed::Run {}

impl<T: sealed::Run> Transaction for T {}

/// A transaction that changes what a repository's readers see, and so may be [`Told`](crate::Told) of.
pub trait Telling: Transaction + sealed::RunAndTell {}

impl<T: sealed::RunAndTell> Telling for T {}

/// Where what only this crate may implement or call is out of others' reach.
pub(crate) mod sealed {
    use crate::{Change, Error, connection::Connection, ids::Ids};

    /// The inside of a transaction: the connection and the ids it may hand out.
    pub struct Tx<'c> {
        pub(crate) connection: Connection<'c>,
        pub(crate) ids: &'c mut Ids,
    }

    /// How a transaction runs; whatever it did is undone if it answers an error.
    pub trait Run: Send + Sync + 'static {
        /// What the caller learns once it is durable.
        type Output: Send + 'static;

        /// Whether the caller is answered only once the disk has it. What no client is told of and what nobody misses who reads
        /// the facts after a power loss need not wait for that: the next commit that does takes it along.
        const AWAITS_DISK: bool = true;

        /// Runs the statements. The future never waits for anything but the database.
        fn run(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Self::Output, Error>> + Send;
    }

    /// A transaction that knows what it changed.
    pub trait RunAndTell: Run {
        /// As [`Run::run`], and what was changed, in order.
        fn run_and_tell(
            &self,
            tx: &mut Tx<'_>,
        ) -> impl Future<Output = Result<(Self::Output, Vec<Change>), Error>> + Send;
    }
}

/// How long from `now` on something is left alone: what nothing refers to, or what was deleted and may come back.
#[derive(Clone, Copy, Debug)]
pub struct Grace {
    /// The time of the transaction.
    pub now: Timestamp,
    /// When the sweeper looks at it.
    pub until: Timestamp,
}
