//! Backups: copies of the facts, which name bytes. What was live when one was taken stays on the disk until it ends.

use crate::{
    Error, Metadata, Timestamp,
    connection::{FromRow, Row},
    statement::statements,
    transaction::{Tx, sealed::Run},
};

statements! {
    INSERT_BACKUP = "insert into backups (id, taken_at, keep_until) values ($1, $2, $3)";
    DELETE_ENDED_BACKUPS = "delete from backups where keep_until <= $1";
    PUT_OFF_DELETIONS = "update objects set delete_after = $1 where state = 'discarded' and delete_after < $1";
    LAST_BACKUPS_END = "select keep_until from backups where keep_until > $1 order by keep_until desc limit 1";
}

/// Says that a copy of the facts is about to be taken, and until when the bytes that it names are kept.
#[derive(Debug)]
pub struct RecordBackup {
    /// Now.
    pub now: Timestamp,
    /// When it ends.
    pub keep_until: Timestamp,
}

impl Run for RecordBackup {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        tx.connection.execute(&DELETE_ENDED_BACKUPS, &[self.now.into()]).await?;
        let id = tx.ids.next()?;
        tx.connection.execute(&INSERT_BACKUP, &[id.into(), self.now.into(), self.keep_until.into()]).await?;
        Ok(())
    }
}

/// Has discarded bytes stay until `not_before`, or until the last backup ends, whatever was said before: after a restore the rows
/// are old, and their keys may be those of younger bytes.
#[derive(Debug)]
pub struct PutOffDeletions {
    /// When bytes may be deleted at the earliest.
    pub not_before: Timestamp,
}

impl Run for PutOffDeletions {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let not_before = not_before_their_end(tx, self.not_before).await?;
        tx.connection.execute(&PUT_OFF_DELETIONS, &[not_before.into()]).await?;
        Ok(())
    }
}

impl Metadata {
    /// When the last backup ends that has not ended at `now`.
    pub async fn last_backups_end(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let last: Option<End> = self.reader().optional(&LAST_BACKUPS_END, &[now.into()]).await?;
        Ok(last.map(|End(end)| end))
    }
}

struct End(Timestamp);

impl FromRow for End {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(Timestamp::from_micros(row.integer(0)?)))
    }
}

/// When bytes that are discarded now may be deleted: not before `wanted`, nor before the last backup ends.
pub(crate) async fn not_before_their_end(tx: &mut Tx<'_>, wanted: Timestamp) -> Result<Timestamp, Error> {
    let later: Option<End> = tx.connection.optional(&LAST_BACKUPS_END, &[wanted.into()]).await?;
    Ok(later.map_or(wanted, |End(later)| later))
}
