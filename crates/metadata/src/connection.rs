//! Values into statements and rows out of them.

use std::future::{Ready, ready};

use cargohold_oci::Digest;
use rusqlite::{
    ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use crate::{Error, Statement, Timestamp};

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

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(integer),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
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
pub(crate) struct Row<'r>(&'r rusqlite::Row<'r>);

impl Row<'_> {
    pub(crate) fn integer(&self, column: usize) -> Result<i64, Error> {
        Ok(self.0.get(column)?)
    }

    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>, Error> {
        Ok(self.0.get(column)?)
    }

    /// What a condition in the select list says.
    pub(crate) fn flag(&self, column: usize) -> Result<bool, Error> {
        Ok(self.0.get(column)?)
    }

    /// A length or an offset, which no row holds below zero.
    pub(crate) fn length(&self, column: usize) -> Result<u64, Error> {
        let integer = self.integer(column)?;
        u64::try_from(integer).map_err(|_| Error::impossible("length", integer))
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str, Error> {
        self.0.get_ref(column)?.as_str().map_err(|error| Error::Engine(error.into()))
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<&str>, Error> {
        self.0.get_ref(column)?.as_str_or_null().map_err(|error| Error::Engine(error.into()))
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        self.0.get_ref(column)?.as_blob().map_err(|error| Error::Engine(error.into()))
    }

    pub(crate) fn optional_digest(&self, column: usize) -> Result<Option<Digest>, Error> {
        let Some(bytes) = self.0.get_ref(column)?.as_blob_or_null().map_err(|error| Error::Engine(error.into()))?
        else {
            return Ok(None);
        };
        Digest::from_bytes(bytes).map(Some).ok_or_else(|| Error::impossible("digest", bytes))
    }

    pub(crate) fn digest(&self, column: usize) -> Result<Digest, Error> {
        let bytes = self.bytes(column)?;
        Digest::from_bytes(bytes).ok_or_else(|| Error::impossible("digest", bytes))
    }
}

/// A connection: inside a transaction, or for one read.
///
/// Its methods are futures because a database across the network needs them to be; SQLite answers within the call.
pub(crate) struct Connection<'c>(&'c mut rusqlite::Connection);

impl<'c> Connection<'c> {
    pub(crate) fn new(sqlite: &'c mut rusqlite::Connection) -> Self {
        Self(sqlite)
    }

    /// Runs a statement that gives no rows; answers how many it touched.
    pub(crate) fn execute(&mut self, statement: &Statement, parameters: &[Value<'_>]) -> Ready<Result<usize, Error>> {
        let execute = || Ok(self.0.prepare_cached(statement.sqlite)?.execute(params_from_iter(parameters))?);
        ready(execute())
    }

    /// The first row, if there is one.
    pub(crate) fn optional<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Ready<Result<Option<T>, Error>> {
        let optional = || {
            let mut prepared = self.0.prepare_cached(statement.sqlite)?;
            let mut rows = prepared.query(params_from_iter(parameters))?;
            rows.next()?.map(|row| T::from_row(&Row(row))).transpose()
        };
        ready(optional())
    }

    /// The row that is always there.
    pub(crate) fn one<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Ready<Result<T, Error>> {
        let found = self.optional(statement, parameters).into_inner();
        ready(found.and_then(|row| row.ok_or_else(|| Error::impossible("absence of a row", statement.name))))
    }

    /// All rows.
    pub(crate) fn all<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Ready<Result<Vec<T>, Error>> {
        let all = || {
            let mut prepared = self.0.prepare_cached(statement.sqlite)?;
            let mut rows = prepared.query(params_from_iter(parameters))?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(T::from_row(&Row(row))?);
            }
            Ok(all)
        };
        ready(all())
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
