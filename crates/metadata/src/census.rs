//! How much there is, counted page by page: for people and for numbers, never for a request that a client waits for.
//!
//! A page costs the same however large its table is, and so does the question whether a table has only one.

use crate::{
    Count, Error, Metadata, Timestamp,
    connection::{FromRow, Row, Value},
    statement::statements,
};

statements! {
    COUNT_REPOSITORIES = "
        select count(*), cast(coalesce(max(p.id), 0) as bigint), cast(coalesce(sum(p.counted), 0) as bigint), cast(0 as bigint)
        from (
            select id, case when published_at is not null and deleted_at is null then 1 else 0 end as counted
            from repositories where id > $1 order by id limit $2) p";
    COUNT_MANIFESTS = "
        select count(*), cast(coalesce(max(p.id), 0) as bigint), cast(coalesce(sum(p.counted), 0) as bigint), cast(0 as bigint)
        from (
            select m.id, case when m.deleted_at is null and r.deleted_at is null then 1 else 0 end as counted
            from manifests m join repositories r on r.id = m.repository_id
            where m.id > $1 order by m.id limit $2) p";
    COUNT_BYTES = "
        select count(*), cast(coalesce(max(p.id), 0) as bigint), cast(coalesce(sum(p.counted), 0) as bigint),
            cast(coalesce(sum(p.bytes), 0) as bigint)
        from (
            select id, case state when 'live' then 1 else 0 end as counted,
                case state when 'live' then coalesce(size, 0) else 0 end as bytes
            from objects where id > $1 order by id limit $2) p";
    COUNT_UPLOADS = "select count(*) from (select id from uploads where id > $1 order by id limit $2) p";
    OLDEST_VERIFIED = "
        select coalesce(o.verified_at, 0) from objects o
        where o.state = 'live' and coalesce(o.verified_at, 0) >= $1
        order by coalesce(o.verified_at, 0)
        limit 1";
}

/// The most sessions that are counted, so that asking costs the same however many there are.
const MOST_COUNTED: u32 = 10_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Repositories that readers see.
    Repositories,
    /// Manifests of repositories that are there.
    Manifests,
    /// Blobs whose bytes are there, and these.
    Blobs,
}

/// A part of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedPage {
    /// Where the next one begins; none behind the last.
    pub next: Option<i64>,
    /// How many there are in this one.
    pub count: u64,
    /// Their bytes, if they have any.
    pub bytes: u64,
}

struct Page {
    rows: u64,
    last: i64,
    count: u64,
    bytes: u64,
}

impl FromRow for Page {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { rows: row.length(0)?, last: row.integer(1)?, count: row.length(2)?, bytes: row.length(3)? })
    }
}

impl Metadata {
    /// Counts at most `rows` rows from `start` on; from the beginning if that is zero.
    pub async fn count_page(&self, what: Counted, start: i64, rows: u32) -> Result<CountedPage, Error> {
        let statement = match what {
            Counted::Repositories => &COUNT_REPOSITORIES,
            Counted::Manifests => &COUNT_MANIFESTS,
            Counted::Blobs => &COUNT_BYTES,
        };
        let parameters = [Value::Integer(start), Value::Integer(rows.into())];
        let page: Option<Page> = self.reader().optional(statement, &parameters).await?;
        let Page { rows: read, last, count, bytes } = page.unwrap_or(Page { rows: 0, last: 0, count: 0, bytes: 0 });
        Ok(CountedPage { next: (read == u64::from(rows)).then_some(last), count, bytes })
    }

    /// How many upload sessions there are.
    pub async fn open_uploads(&self) -> Result<Count, Error> {
        let parameters = [Value::Text(""), Value::Integer(i64::from(MOST_COUNTED) + 1)];
        let counted: Option<i64> = self.reader().optional(&COUNT_UPLOADS, &parameters).await?;
        let counted = counted.and_then(|counted| u64::try_from(counted).ok()).unwrap_or_default();
        let most = u64::from(MOST_COUNTED);
        Ok(Count { counted: counted.min(most), or_more: counted > most })
    }

    /// When those bytes were last read that nobody has read for longest; the beginning of time if never, none without bytes.
    pub async fn oldest_verified(&self) -> Result<Option<Timestamp>, Error> {
        let oldest: Option<i64> = self.reader().optional(&OLDEST_VERIFIED, &[Value::Integer(0)]).await?;
        Ok(oldest.map(Timestamp::from_micros))
    }
}
