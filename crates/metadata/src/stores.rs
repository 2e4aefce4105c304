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
    INSERT_STORE = "insert into stores (id, kind, location, owned) values ($1, $2, $3, $4)";
    LIST_ADOPTED_STORES = "select id, location from stores where kind = $1 and owned = 0 order by id";
    FIND_ADOPTED_STORE = "select id from stores where kind = $1 and location = $2 and owned = 0";
    MOVE_ADOPTED_STORE = "
        update stores set location = $1
        where kind = $2 and location = $3 and owned = 0
            and not exists (select 1 from stores s where s.kind = $2 and s.location = $1)";
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
    /// Any number, of which a new store's id is made: its marker tells it from the stores of other registries.
    pub random: u64,
}

/// Of a new store's id: above all ids that are handed out one after the other.
const STORE_ID_BITS: u32 = 40;

impl Run for EnsureStore {
    type Output = Store;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Store, Error> {
        let store = [self.kind.into(), self.location.as_str().into()];
        if let Some(found) = tx.connection.optional(&FIND_STORE, &store).await? {
            return Ok(found);
        }
        let id = (1 << STORE_ID_BITS) | (self.random >> (u64::BITS - STORE_ID_BITS)).cast_signed();
        tx.connection.execute(&INSERT_STORE, &[Value::Integer(id), store[0], store[1], Value::Integer(1)]).await?;
        Ok(Store { id: StoreId(id), in_use: false })
    }
}

/// A store of another registry, which is read and never written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedStore {
    /// Its row.
    pub id: StoreId,
    /// Where it is, in the words of its kind.
    pub location: String,
}

impl FromRow for AdoptedStore {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { id: StoreId(row.integer(0)?), location: row.text(1)?.to_owned() })
    }
}

impl FromRow for StoreId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

impl Metadata {
    /// The store of that kind and location, if it belongs to another registry.
    pub async fn adopted_store(&self, kind: &str, location: &str) -> Result<Option<StoreId>, Error> {
        self.reader().optional(&FIND_ADOPTED_STORE, &[kind.into(), location.into()]).await
    }

    /// The stores of that kind that belong to other registries.
    pub async fn adopted_stores(&self, kind: &str) -> Result<Vec<AdoptedStore>, Error> {
        self.reader().all(&LIST_ADOPTED_STORES, &[kind.into()]).await
    }
}

/// Finds the store of that kind and location, which we do not own, or makes its row.
#[derive(Debug)]
pub struct AdoptStore {
    /// `filesystem`, later also the object stores.
    pub kind: &'static str,
    /// Where it is, in the words of its kind.
    pub location: String,
}

impl Run for AdoptStore {
    type Output = StoreId;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StoreId, Error> {
        let store = [self.kind.into(), self.location.as_str().into()];
        if let Some(found) = tx.connection.optional(&FIND_ADOPTED_STORE, &store).await? {
            return Ok(found);
        }
        let id = tx.ids.next()?;
        tx.connection.execute(&INSERT_STORE, &[Value::Integer(id), store[0], store[1], Value::Integer(0)]).await?;
        Ok(StoreId(id))
    }
}

/// Records that a store which we do not own lies elsewhere now. False if there is none at the old place, or one at the new one.
#[derive(Debug)]
pub struct MoveAdoptedStore {
    /// Its kind.
    pub kind: &'static str,
    /// Where it was.
    pub from: String,
    /// Where it is.
    pub to: String,
}

impl Run for MoveAdoptedStore {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let places = [self.to.as_str().into(), self.kind.into(), self.from.as_str().into()];
        Ok(tx.connection.execute(&MOVE_ADOPTED_STORE, &places).await? == 1)
    }
}
