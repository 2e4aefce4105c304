//! Stores: the places where bytes can lie.

use crate::{
    Error, Metadata, StoreId,
    connection::{FromRow, Row, Value},
    statement::statements,
    transaction::{Tx, sealed::Run},
};

statements! {
    FIND_STORE = "
        select s.id, exists (select 1 from objects o where o.store_id = s.id)
        from stores s where s.kind = $1 and s.location = $2 and s.owned = 1";
    INSERT_STORE = "insert into stores (id, kind, location, owned) values ($1, $2, $3, 1)";
}

/// A store, as the facts have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its row.
    pub id: StoreId,
    /// Whether it has objects: then it must be there, marker and all.
    pub in_use: bool,
}

impl FromRow for Store {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { id: StoreId(row.integer(0)?), in_use: row.flag(1)? })
    }
}

impl Metadata {
    /// The store of that kind and location, if we own one.
    pub async fn store(&self, kind: &str, location: &str) -> Result<Option<Store>, Error> {
        self.reader().optional(&FIND_STORE, &[kind.into(), location.into()]).await
    }
}

/// Finds the store of that kind and location, which we own, or makes its row.
#[derive(Debug)]
pub struct EnsureStore {
    /// `filesystem`, later also the object stores.
    pub kind: &'static str,
    /// Where it is, in the words of its kind.
    pub location: String,
}

impl Run for EnsureStore {
    type Output = Store;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Store, Error> {
        let store = [self.kind.into(), self.location.as_str().into()];
        if let Some(found) = tx.connection.optional(&FIND_STORE, &store).await? {
            return Ok(found);
        }
        let id = tx.ids.next()?;
        tx.connection.execute(&INSERT_STORE, &[Value::Integer(id), store[0], store[1]]).await?;
        Ok(Store { id: StoreId(id), in_use: false })
    }
}
