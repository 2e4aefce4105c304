//! What must hold for every input of the parsers that strangers reach, one module a parser.
//!
//! Each `check` takes any bytes and panics where a property does not hold. The programs in `fuzz_targets/` let libFuzzer look for
//! such bytes; `cargo test` in this folder runs the inputs in `corpus/`. A property is more than "no panic": a second
//! reader, written another way, must come to the same result, or what was read must be the same when it is written and read again.

#![forbid(unsafe_code)]

pub mod authorization;
pub mod conditional;
pub mod digest;
pub mod forwarded;
mod input;
pub mod manifest;
pub mod path;
pub mod query;
pub mod range;
pub mod reference;
mod refusal;
pub mod repository_name;
pub mod tag;
pub mod upload_headers;

/// A property of one parser, for any input.
pub type Check = fn(&[u8]);

/// Every target by its name, which its program, its corpus and its dictionary have too.
pub const TARGETS: [(&str, Check); 12] = [
    ("authorization", authorization::check),
    ("conditional", conditional::check),
    ("digest", digest::check),
    ("forwarded", forwarded::check),
    ("manifest", manifest::check),
    ("path", path::check),
    ("query", query::check),
    ("range", range::check),
    ("reference", reference::check),
    ("repository_name", repository_name::check),
    ("tag", tag::check),
    ("upload_headers", upload_headers::check),
];

#[cfg(test)]
mod corpus_tests;
