-- Content, life and death, settings. The same tables and columns as ../sqlite/0001_content.sql; data types, `collate "C"`
-- and the two functions at the end are what differs. Times are UTC microseconds; a digest is an algorithm byte and the hash.

create table settings (
    key text collate "C" primary key,
    value text collate "C" not null
);

-- The last id handed out; processes reserve blocks from it.
insert into settings (key, value) values ('last_id', '1000');

-- Where bytes can lie. A store with owned = 0 was adopted from another registry and is never deleted from.
create table stores (
    id bigint primary key,
    kind text collate "C" not null,
    location text collate "C" not null,
    owned bigint not null check (owned in (0, 1)),
    unique (kind, location)
);

create table blobs (
    id bigint primary key,
    digest bytea not null unique,
    size bigint not null check (size >= 0)
);

-- One row per object of bytes, from before its first byte until after its deletion.
create table objects (
    id bigint primary key,
    store_id bigint not null references stores (id),
    key text collate "C" not null,
    state text collate "C" not null check (state in ('staging', 'live', 'missing', 'discarded')),
    blob_id bigint references blobs (id),
    upload_id text collate "C",
    size bigint check (size >= 0),
    encoding text collate "C",
    verified_at bigint,
    delete_after bigint,
    unique (store_id, key),
    check (state <> 'live' or (blob_id is not null and size is not null)),
    check (state <> 'staging' or upload_id is not null),
    check ((state = 'discarded') = (delete_after is not null))
);
create index objects_by_blob on objects (blob_id) where blob_id is not null;
create index objects_by_upload on objects (upload_id) where upload_id is not null;
create index objects_discarded on objects (delete_after) where state = 'discarded';

create table repositories (
    id bigint primary key,
    name text collate "C" not null,
    visibility text collate "C" not null default 'private' check (visibility in ('public', 'private')),
    summary text collate "C",
    overview text collate "C",
    created_at bigint not null,
    published_at bigint,
    deleted_at bigint
);
create unique index repositories_by_name on repositories (name) where deleted_at is null;
create index repositories_catalog on repositories (name) where published_at is not null and deleted_at is null;

-- The right to read a blob through a repository.
create table repository_blobs (
    repository_id bigint not null references repositories (id),
    blob_id bigint not null references blobs (id),
    linked_at bigint not null,
    unreferenced_since bigint,
    deleted_at bigint,
    primary key (repository_id, blob_id)
);
create index repository_blobs_by_blob on repository_blobs (blob_id);

create table manifest_payloads (
    id bigint primary key,
    digest bytea not null unique,
    bytes bytea not null
);

create table manifests (
    id bigint primary key,
    repository_id bigint not null references repositories (id),
    payload_id bigint not null references manifest_payloads (id),
    media_type text collate "C" not null,
    artifact_type text collate "C",
    subject bytea,
    config_blob bigint,
    total_size bigint not null,
    pushed_at bigint not null,
    deleted_at bigint,
    unique (repository_id, payload_id),
    unique (repository_id, id),
    foreign key (repository_id, config_blob) references repository_blobs (repository_id, blob_id)
);
create index manifests_by_subject on manifests (repository_id, subject, id) where subject is not null;
create index manifests_by_config on manifests (repository_id, config_blob) where config_blob is not null;
create index manifests_by_payload on manifests (payload_id);

create table manifest_references (
    manifest_id bigint not null,
    position bigint not null,
    repository_id bigint not null,
    blob_id bigint,
    child_manifest_id bigint,
    absent_digest bytea,
    kind text collate "C" not null check (kind in ('config', 'layer', 'child')),
    primary key (manifest_id, position),
    check (num_nonnulls(blob_id, child_manifest_id, absent_digest) = 1),
    foreign key (repository_id, manifest_id) references manifests (repository_id, id),
    foreign key (repository_id, blob_id) references repository_blobs (repository_id, blob_id),
    foreign key (repository_id, child_manifest_id) references manifests (repository_id, id)
);
create index manifest_references_by_blob on manifest_references (repository_id, blob_id) where blob_id is not null;
create index manifest_references_by_child on manifest_references (repository_id, child_manifest_id) where child_manifest_id is not null;
create index manifest_references_absent on manifest_references (repository_id, absent_digest) where absent_digest is not null;

-- previous_manifest_id may name a manifest that was swept since: ids are never used twice.
create table tags (
    repository_id bigint not null references repositories (id),
    name text collate "C" not null,
    manifest_id bigint not null,
    previous_manifest_id bigint,
    subject bytea,
    pushed_at bigint not null,
    expires_at bigint,
    primary key (repository_id, name),
    foreign key (repository_id, manifest_id) references manifests (repository_id, id)
);
create index tags_by_manifest on tags (repository_id, manifest_id);
create index tags_by_subject on tags (repository_id, subject) where subject is not null;

-- History outlives what it names, so its manifests are not foreign keys.
create table tag_history (
    id bigint primary key,
    repository_id bigint not null references repositories (id),
    name text collate "C" not null,
    old_manifest_id bigint,
    new_manifest_id bigint,
    at bigint not null,
    cause text collate "C" not null
);
create index tag_history_by_tag on tag_history (repository_id, name, id);

create table uploads (
    id text collate "C" primary key,
    repository_id bigint not null references repositories (id),
    epoch bigint not null,
    received bigint not null check (received >= 0),
    hash_state bytea not null,
    multipart_id text collate "C",
    created_at bigint not null,
    touched_at bigint not null
);
create index uploads_by_repository on uploads (repository_id);
create index uploads_by_touched on uploads (touched_at);

-- All that the sweeper ever reads: what may have become garbage, and when to look.
create table sweep_candidates (
    kind text collate "C" not null check (kind in ('repository', 'link', 'manifest', 'payload', 'blob')),
    repository_id bigint not null,
    id bigint not null,
    review_after bigint not null,
    primary key (kind, repository_id, id)
);
create index sweep_candidates_due on sweep_candidates (review_after);

-- For people: the same facts with digests as text.
create view readable_blobs as
select b.id, case get_byte(b.digest, 0) when 1 then 'sha256:' when 2 then 'sha512:' end || encode(substring(b.digest from 2), 'hex') as digest,
    b.size, o.state, o.store_id, o.key
from blobs b left join objects o on o.blob_id = b.id;

create view readable_manifests as
select m.id, r.name as repository,
    case get_byte(p.digest, 0) when 1 then 'sha256:' when 2 then 'sha512:' end || encode(substring(p.digest from 2), 'hex') as digest,
    m.media_type, m.artifact_type, m.total_size, m.pushed_at, m.deleted_at
from manifests m join repositories r on r.id = m.repository_id join manifest_payloads p on p.id = m.payload_id;

create view readable_tags as
select r.name as repository, t.name as tag, m.digest, m.media_type, t.pushed_at
from tags t join repositories r on r.id = t.repository_id join readable_manifests m on m.id = t.manifest_id
where r.deleted_at is null;

-- Two functions that SQLite has by these names, so that a statement that takes many items in one JSON parameter reads the
-- same on both engines.
create function json_each(list text) returns table (value json) language sql immutable strict
as $$ select json_array_elements(list::json) $$;

create function unhex(digits text) returns bytea language sql immutable strict
as $$ select decode(digits, 'hex') $$;
