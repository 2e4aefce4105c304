//! Values into statements and rows out of them, whichever engine there is.

use cargohold_oci::Digest;

use crate::{
    Error, Statement, Timestamp,
    ids::RESERVE_IDS,
    postgres::{self, Session},
    sqlite,
    statement::LockStatement,
};

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Integer(time.micros())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Digest> for Value<'a> {
    fn from(digest: &'a Digest) -> Self {
        Self::Bytes(digest.as_bytes())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What can be made of a row.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row<'_>) -> Result<Self, Error>;
}

impl FromRow for i64 {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        row.integer(0)
    }
}

impl FromRow for Option<i64> {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        row.optional_integer(0)
    }
}

/// A row of a result; columns are counted from 0.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    pub(crate) fn integer(&self, column: usize) -> Result<i64, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get::<_, postgres::Integer>(column)?.0),
        }
    }

    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => {
                Ok(row.try_get::<_, Option<postgres::Integer>>(column)?.map(|postgres::Integer(integer)| integer))
            }
        }
    }

    /// What a condition in the select list says.
    pub(crate) fn flag(&self, column: usize) -> Result<bool, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// A length or an offset, which no row holds below zero.
    pub(crate) fn length(&self, column: usize) -> Result<u64, Error> {
        let integer = self.integer(column)?;
        u64::try_from(integer).map_err(|_| Error::impossible("length", integer))
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str, Error> {
        match self {
            Self::Sqlite(row) => row.get_ref(column)?.as_str().map_err(|error| Error::Engine(error.into())),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<&str>, Error> {
        match self {
            Self::Sqlite(row) => row.get_ref(column)?.as_str_or_null().map_err(|error| Error::Engine(error.into())),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        match self {
            Self::Sqlite(row) => row.get_ref(column)?.as_blob().map_err(|error| Error::Engine(error.into())),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn optional_digest(&self, column: usize) -> Result<Option<Digest>, Error> {
        let bytes = match self {
            Self::Sqlite(row) => row.get_ref(column)?.as_blob_or_null().map_err(|error| Error::Engine(error.into()))?,
            Self::Postgres(row) => row.try_get::<_, Option<&[u8]>>(column)?,
        };
        let digest = |bytes| Digest::from_bytes(bytes).ok_or_else(|| Error::impossible("digest", bytes));
        bytes.map(digest).transpose()
    }

    pub(crate) fn digest(&self, column: usize) -> Result<Digest, Error> {
        let bytes = self.bytes(column)?;
        Digest::from_bytes(bytes).ok_or_else(|| Error::impossible("digest", bytes))
    }
}

/// A connection inside a transaction.
///
/// Its methods are futures because a database across the network needs them to be; SQLite answers within the call.
pub(crate) enum Connection<'c> {
    Sqlite(&'c mut rusqlite::Connection),
    Postgres(Session<'c>),
}

impl<'c> Connection<'c> {
    pub(crate) fn new(sqlite: &'c mut rusqlite::Connection) -> Self {
        Self::Sqlite(sqlite)
    }

    /// Runs a statement that gives no rows; answers how many it touched.
    pub(crate) async fn execute(&mut self, statement: &Statement, parameters: &[Value<'_>]) -> Result<usize, Error> {
        match self {
            Self::Sqlite(connection) => sqlite::execute(connection, statement, parameters),
            Self::Postgres(session) => session.execute(statement, parameters).await,
        }
    }

    /// Locks rows, or names that stand for rows that are not there yet, for the rest of the transaction. SQLite, whose one writer
    /// locks everything, has nothing to do.
    pub(crate) async fn lock(&mut self, statement: &LockStatement, parameters: &[Value<'_>]) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.lock(statement, parameters).await,
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn optional<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<Option<T>, Error> {
        match self {
            Self::Sqlite(connection) => sqlite::optional(connection, statement, parameters),
            Self::Postgres(session) => session.optional(statement, parameters).await,
        }
    }

    /// The row that is always there.
    pub(crate) async fn one<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<T, Error> {
        let found = self.optional(statement, parameters).await?;
        found.ok_or_else(|| Error::impossible("absence of a row", statement.name))
    }

    /// All rows.
    pub(crate) async fn all<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<Vec<T>, Error> {
        match self {
            Self::Sqlite(connection) => sqlite::all(connection, statement, parameters),
            Self::Postgres(session) => session.all(statement, parameters).await,
        }
    }

    /// Reserves ids; answers the last of them.
    ///
    /// In SQLite this is a part of the transaction. In PostgreSQL it is a transaction of its own, on a connection of its own, or
    /// all that write would wait for each other at this one row.
    pub(crate) async fn reserve_ids(&mut self, count: i64) -> Result<i64, Error> {
        match self {
            Self::Sqlite(_) => self.one(&RESERVE_IDS, &[count.into()]).await,
            Self::Postgres(session) => session.reserve_ids(count).await,
        }
    }
}

/// A digest as the database keeps it, in hexadecimal digits: for a list in JSON.
pub(crate) fn hex(digest: &Digest) -> String {
    use std::fmt::Write;
    let bytes = digest.as_bytes();
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
