-- What was deleted can come back until its window ends, or go at once.

-- The manifest whose deletion removed the tag; null where the tag was deleted alone.
alter table tag_history add column deleted_with bigint;
create index tag_history_deleted_with on tag_history (deleted_with) where deleted_with is not null;

-- Ids are handed out in blocks: the latest row is the one with the latest time.
create index tag_history_by_time on tag_history (repository_id, name, at);
drop index tag_history_by_tag;

create index repositories_deleted on repositories (name, deleted_at) where deleted_at is not null;

-- 1 where neither a window, nor a grace, nor a time to keep bytes is waited for.
alter table sweep_candidates add column purge bigint not null default 0 check (purge in (0, 1));

-- The one whose bytes nobody has read for longest comes first, and before it those that nobody has read here at all.
create index objects_to_scrub on objects (coalesce(verified_at, 0)) where state = 'live';

-- Copies of the facts that somebody keeps: the bytes that they name stay until they end.
create table backups (
    id bigint primary key,
    taken_at bigint not null,
    keep_until bigint not null
);
create index backups_by_end on backups (keep_until);
