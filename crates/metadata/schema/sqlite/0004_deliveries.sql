-- What changes is told to endpoints: an event is written in the transaction that it tells of, with a delivery for each endpoint.

-- Whom the configuration names. Who delivers to one holds it: its fence tells the newest holder from those before.
create table endpoints (
    id integer primary key,
    name text not null unique,
    fence integer not null default 0,
    leased_until integer not null default 0,
    dropped integer not null default 0
) strict;

-- The database numbers them, upwards, as they are written: of two changes of which one came behind the other, so did the number.
create table events (
    id integer primary key autoincrement,
    uuid text not null,
    at integer not null,
    body text not null
) strict;

-- What waits for an endpoint, or was given up. No foreign key names the endpoint: a push must not fail because of one that is
-- being forgotten.
create table deliveries (
    endpoint_id integer not null,
    event_id integer not null references events (id),
    attempts integer not null default 0,
    attempted_at integer,
    error text,
    given_up_at integer,
    primary key (endpoint_id, event_id)
) strict, without rowid;
create index deliveries_by_event on deliveries (event_id);
create index deliveries_pending on deliveries (endpoint_id, event_id) where given_up_at is null;
create index deliveries_failed on deliveries (endpoint_id, event_id) where attempts > 0;
create index deliveries_given_up on deliveries (endpoint_id, event_id) where given_up_at is not null;
