-- Content, life and death, settings. The same tables and columns as ../postgres/0001_content.sql; data types, `strict`
-- and `without rowid` are what differs. Times are UTC microseconds; a digest is an algorithm byte and the hash.

create table settings (
    key text primary key,
    value text not null
) strict, without rowid;

-- The last id handed out; processes reserve blocks from it.
insert into settings (key, value) values ('last_id', '1000');

-- Where bytes can lie. A store with owned = 0 was adopted from another registry and is never deleted from.
create table stores (
    id integer primary key,
    kind text not null,
    location text not null,
    owned integer not null check (owned in (0, 1)),
    unique (kind, location)
) strict;

create table blobs (
    id integer primary key,
    digest blob not null unique,
    size integer not null check (size >= 0)
) strict;

-- One row per object of bytes, from before its first byte until after its deletion.
create table objects (
    id integer primary key,
    store_id integer not null references stores (id),
    key text not null,
    state text not null check (state in ('staging', 'live', 'missing', 'discarded')),
    blob_id integer references blobs (id),
    upload_id text,
    size integer check (size >= 0),
    encoding text,
    verified_at integer,
    delete_after integer,
    unique (store_id, key),
    check (state <> 'live' or (blob_id is not null and size is not null)),
    check (state <> 'staging' or upload_id is not null),
    check ((state = 'discarded') = (delete_after is not null))
) strict;
create index objects_by_blob on objects (blob_id) where blob_id is not null;
create index objects_by_upload on objects (upload_id) where upload_id is not null;
create index objects_discarded on objects (delete_after) where state = 'discarded';

create table repositories (
    id integer primary key,
    name text not null,
    visibility text not null default 'private' check (visibility in ('public', 'private')),
    summary text,
    overview text,
    created_at integer not null,
    published_at integer,
    deleted_at integer
) strict;
create unique index repositories_by_name on repositories (name) where deleted_at is null;
create index repositories_catalog on repositories (name) where published_at is not null and deleted_at is null;

-- The right to read a blob through a repository.
create table repository_blobs (
    repository_id integer not null references repositories (id),
    blob_id integer not null references blobs (id),
    linked_at integer not null,
    unreferenced_since integer,
    deleted_at integer,
    primary key (repository_id, blob_id)
) strict, without rowid;
create index repository_blobs_by_blob on repository_blobs (blob_id);

create table manifest_payloads (
    id integer primary key,
    digest blob not null unique,
    bytes blob not null
) strict;

create table manifests (
    id integer primary key,
    repository_id integer not null references repositories (id),
    payload_id integer not null references manifest_payloads (id),
    media_type text not null,
    artifact_type text,
    subject blob,
    config_blob integer,
    total_size integer not null,
    pushed_at integer not null,
    deleted_at integer,
    unique (repository_id, payload_id),
    unique (repository_id, id),
    foreign key (repository_id, config_blob) references repository_blobs (repository_id, blob_id)
) strict;
create index manifests_by_subject on manifests (repository_id, subject, id) where subject is not null;
create index manifests_by_config on manifests (repository_id, config_blob) where config_blob is not null;
create index manifests_by_payload on manifests (payload_id);

create table manifest_references (
    manifest_id integer not null,
    position integer not null,
    repository_id integer not null,
    blob_id integer,
    child_manifest_id integer,
    absent_digest blob,
    kind text not null check (kind in ('config', 'layer', 'child')),
    primary key (manifest_id, position),
    check ((blob_id is not null) + (child_manifest_id is not null) + (absent_digest is not null) = 1),
    foreign key (repository_id, manifest_id) references manifests (repository_id, id),
    foreign key (repository_id, blob_id) references repository_blobs (repository_id, blob_id),
    foreign key (repository_id, child_manifest_id) references manifests (repository_id, id)
) strict, without rowid;
create index manifest_references_by_blob on manifest_references (repository_id, blob_id) where blob_id is not null;
create index manifest_references_by_child on manifest_references (repository_id, child_manifest_id) where child_manifest_id is not null;
create index manifest_references_absent on manifest_references (repository_id, absent_digest) where absent_digest is not null;

-- previous_manifest_id may name a manifest that was swept since: ids are never used twice.
create table tags (
    repository_id integer not null references repositories (id),
    name text not null,
    manifest_id integer not null,
    previous_manifest_id integer,
    subject blob,
    pushed_at integer not null,
    expires_at integer,
    primary key (repository_id, name),
    foreign key (repository_id, manifest_id) references manifests (repository_id, id)
) strict, without rowid;
create index tags_by_manifest on tags (repository_id, manifest_id);
create index tags_by_subject on tags (repository_id, subject) where subject is not null;

-- History outlives what it names, so its manifests are not foreign keys.
create table tag_history (
    id integer primary key,
    repository_id integer not null references repositories (id),
    name text not null,
    old_manifest_id integer,
    new_manifest_id integer,
    at integer not null,
    cause text not null
) strict;
create index tag_history_by_tag on tag_history (repository_id, name, id);

create table uploads (
    id text primary key,
    repository_id integer not null references repositories (id),
    epoch integer not null,
    received integer not null check (received >= 0),
    hash_state blob not null,
    multipart_id text,
    created_at integer not null,
    touched_at integer not null
) strict, without rowid;
create index uploads_by_repository on uploads (repository_id);
create index uploads_by_touched on uploads (touched_at);

-- All that the sweeper ever reads: what may have become garbage, and when to look.
create table sweep_candidates (
    kind text not null check (kind in ('repository', 'link', 'manifest', 'payload', 'blob')),
    repository_id integer not null,
    id integer not null,
    review_after integer not null,
    primary key (kind, repository_id, id)
) strict, without rowid;
create index sweep_candidates_due on sweep_candidates (review_after);

-- For people: the same facts with digests as text.
create view readable_blobs as
select b.id, case substr(b.digest, 1, 1) when x'01' then 'sha256:' when x'02' then 'sha512:' end || lower(hex(substr(b.digest, 2))) as digest,
    b.size, o.state, o.store_id, o.key
from blobs b left join objects o on o.blob_id = b.id;

create view readable_manifests as
select m.id, r.name as repository,
    case substr(p.digest, 1, 1) when x'01' then 'sha256:' when x'02' then 'sha512:' end || lower(hex(substr(p.digest, 2))) as digest,
    m.media_type, m.artifact_type, m.total_size, m.pushed_at, m.deleted_at
from manifests m join repositories r on r.id = m.repository_id join manifest_payloads p on p.id = m.payload_id;

create view readable_tags as
select r.name as repository, t.name as tag, m.digest, m.media_type, t.pushed_at
from tags t join repositories r on r.id = t.repository_id join readable_manifests m on m.id = t.manifest_id
where r.deleted_at is null;
