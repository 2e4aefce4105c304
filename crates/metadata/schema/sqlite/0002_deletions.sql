-- What was deleted together: the manifest whose deletion marked this one, itself included, so that it can come back whole.
alter table manifests add column deleted_with integer;
create index manifests_deleted_with on manifests (deleted_with) where deleted_with is not null;
