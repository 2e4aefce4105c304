//! The doors of Cargohold: how bytes and requests travel over HTTP.
//!
//! This crate owns the accept loop, the zero-copy path of a file to a socket, response bodies and the parsing of
//! ranges. It is handed open files and streams, and knows neither SQL nor where bytes lie.
//!
//! Linux only: `sendfile(2)`, `preadv2(2)` with `RWF_NOWAIT` and `posix_fadvise(2)` are used without substitutes.

#![deny(unsafe_code)]

mod access_log;
mod api;
mod blobs;
pub mod body;
mod buffer;
mod catalog;
mod challenge;
mod conditional;
mod content_range;
mod created;
mod debug;
mod discover;
mod error;
pub mod file_stream;
#[cfg(fuzzing)]
pub mod fuzzing;
mod headers;
mod health;
mod in_flight;
mod limits;
pub mod management;
mod manifests;
pub mod metrics;
mod operation;
mod options;
mod page_cache;
mod ping;
mod query;
pub mod range;
mod referrers;
mod request_body;
mod request_head;
mod response_headers;
mod root;
mod rules;
mod sendfile;
pub mod server;
pub mod site;
mod tags;
pub mod tls;
mod token;
mod traces;
mod uploads;
mod warnings;
mod watched;

pub use access_log::{Access, AccessLog};
pub use api::{Api, ApiOptions};
pub use body::Body;
pub use debug::{Debug, Numbers};
pub use health::{Health, HealthCheck};
pub use limits::{Limits, Pages};
pub use management::{Management, Running, serve_management};
pub use metrics::HttpMetrics;
pub use response_headers::{OfOneAnswer, ResponseHeaders};
pub use rules::Rules;
pub use server::{Door, Listener, Peer, ServeOutcome, ServerOptions, serve};
pub use site::{BaseUrl, Prefix, SiteOptions, TrustedProxy};
pub use tls::{Tls, TlsError, TlsSettings, TlsStatus};
pub use traces::{SPAN, Traces};
