-- What changes is told to endpoints: an event is written in the transaction that it tells of, with a delivery for each endpoint.

-- Whom the configuration names. Who delivers to one holds it: its fence tells the newest holder from those before.
create table endpoints (
    id bigint primary key,
    name text collate "C" not null unique,
    fence bigint not null default 0,
    leased_until bigint not null default 0,
    dropped bigint not null default 0
);

-- The database numbers them, upwards, as they are written: of two changes of which one came behind the other, so did the number.
create table events (
    id bigint generated always as identity primary key,
    uuid text collate "C" not null,
    at bigint not null,
    body text collate "C" not null
);

-- What waits for an endpoint, or was given up. No foreign key names the endpoint: a push must not fail because of one that is
-- being forgotten.
create table deliveries (
    endpoint_id bigint not null,
    event_id bigint not null references events (id),
    attempts bigint not null default 0,
    attempted_at bigint,
    error text collate "C",
    given_up_at bigint,
    primary key (endpoint_id, event_id)
);
create index deliveries_by_event on deliveries (event_id);
create index deliveries_pending on deliveries (endpoint_id, event_id) where given_up_at is null;
create index deliveries_failed on deliveries (endpoint_id, event_id) where attempts > 0;
create index deliveries_given_up on deliveries (endpoint_id, event_id) where given_up_at is not null;
