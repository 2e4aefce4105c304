//! Cargohold as its clients and operators meet it: the real program on a folder of its own, spoken to over HTTP.
//!
//! A test is one fact about what goes in and comes out. The vocabulary is small: a [`registry::Registry`] is a running
//! program, a [`repository::Repository`] a name in it that no other test uses, a [`client::Request`] one that a proper client
//! sends, a [`wire::Wire`] a connection for everything that a proper client does not do. Nothing here knows how the program
//! works inside, but for the few facts about what an operator finds in the data folder.

#![forbid(unsafe_code)]

mod authority;
mod client;
mod content;
mod distribution;
mod receiver;
mod registry;
mod repository;
mod waiting;
mod wire;

mod adopt;
mod backup;
mod bad_clients;
mod blobs_pull;
mod catalog;
mod chunks;
mod command_line;
mod config;
mod deletes;
mod digests;
mod discover;
mod early_answers;
mod empty_blobs;
mod errors;
mod export;
mod fsck;
mod health;
mod in_place;
mod inherited;
mod interruptions;
mod limits;
mod listening;
mod logs;
mod management;
mod manifest_references;
mod manifest_rules;
mod manifests;
mod metrics;
mod missing_bytes;
mod mounts;
mod notifications;
mod pains;
mod ping;
mod quirks;
mod ranges;
mod referrers;
mod response_headers;
mod restart;
mod settings;
mod sign_in;
mod site;
mod start;
mod status;
mod stop;
mod strangers;
mod tags;
mod tls;
mod traces;
mod upgrades;
mod uploads;
mod writers;
