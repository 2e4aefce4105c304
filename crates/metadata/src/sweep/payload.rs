//! The bytes of manifests, which repositories share.

use super::Swept;
use crate::{Error, PayloadId, statement::statements, transaction::Tx};

statements! {
    LOCK_PAYLOAD = "select 1 from manifest_payloads where id = $1"
        lock "for update";
    PAYLOAD_HAS_MANIFESTS = "select 1 from manifests where payload_id = $1 limit 1";
    DELETE_PAYLOAD = "delete from manifest_payloads where id = $1";
}

pub(super) async fn sweep(tx: &mut Tx<'_>, payload: PayloadId) -> Result<Swept, Error> {
    let payload = [payload.into()];
    if tx.connection.optional::<i64>(&LOCK_PAYLOAD, &payload).await?.is_none()
        || tx.connection.optional::<i64>(&PAYLOAD_HAS_MANIFESTS, &payload).await?.is_some()
    {
        return Ok(Swept::Needed);
    }
    tx.connection.execute(&DELETE_PAYLOAD, &payload).await?;
    Ok(Swept::Removed)
}
