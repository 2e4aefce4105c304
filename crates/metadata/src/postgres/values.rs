//! Parameters and integers as PostgreSQL's binary protocol has them.

use std::error::Error;

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, WrongType, private::BytesMut, to_sql_checked};

use crate::connection::Value;

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(integer), &Type::INT8) => integer.to_sql(kind, out),
            (Self::Text(text), &Type::TEXT) => text.to_sql(kind, out),
            (Self::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(kind, out),
            _ => Err(Box::new(WrongType::new::<Self>(kind.clone()))),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Which of them a value is, is known when it is written.
        true
    }

    to_sql_checked!();
}

/// An integer of any width: a constant and a length are narrower than our columns.
pub(crate) struct Integer(pub(crate) i64);

impl<'a> FromSql<'a> for Integer {
    fn from_sql(kind: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match *kind {
            Type::INT8 => i64::from_sql(kind, bytes).map(Self),
            _ => i32::from_sql(kind, bytes).map(|integer| Self(integer.into())),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4)
    }
}
