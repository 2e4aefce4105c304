//! Settings: small texts that a part of the program keeps for itself, by family and name.

use crate::{
    Error, Metadata,
    connection::{FromRow, Row},
    statement::statements,
    transaction::{Tx, sealed::Run},
};

statements! {
    FIND_SETTING = "select value from settings where key = $1";
    PUT_SETTING = "
        insert into settings (key, value) values ($1, $2)
        on conflict (key) do update set value = excluded.value";
    REMOVE_SETTING = "delete from settings where key = $1";
}

/// What a setting is called. The part that it belongs to is named first, so that no part meets another's, nor our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingName(String);

impl SettingName {
    /// `name` among the settings of `family`.
    pub fn new(family: &'static str, name: &str) -> Self {
        Self(format!("{family}/{name}"))
    }
}

/// Keeps a text, in the place of what was kept under this name.
#[derive(Debug)]
pub struct PutSetting {
    /// Its name.
    pub name: SettingName,
    /// The text.
    pub value: String,
}

impl Run for PutSetting {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let Self { name: SettingName(key), value } = self;
        tx.connection.execute(&PUT_SETTING, &[key.as_str().into(), value.as_str().into()]).await?;
        Ok(())
    }
}

/// Forgets what was kept under a name, if anything was.
#[derive(Debug)]
pub struct RemoveSetting {
    /// The name.
    pub name: SettingName,
}

impl Run for RemoveSetting {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        tx.connection.execute(&REMOVE_SETTING, &[self.name.0.as_str().into()]).await?;
        Ok(())
    }
}

impl Metadata {
    /// What is kept under a name.
    pub async fn setting(&self, name: &SettingName) -> Result<Option<String>, Error> {
        let found: Option<Kept> = self.reader().optional(&FIND_SETTING, &[name.0.as_str().into()]).await?;
        Ok(found.map(|Kept(value)| value))
    }
}

struct Kept(String);

impl FromRow for Kept {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.text(0)?.to_owned()))
    }
}
