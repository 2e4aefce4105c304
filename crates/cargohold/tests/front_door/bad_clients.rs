//! Clients that misbehave: they hang up at every stage, send what no client should, come in crowds, and take or send next to
//! nothing. What must hold: nobody else notices, nothing acknowledged is lost, nothing is left behind, and memory is bounded.
//!
//! Uploads that break off and go on are the subject of `interruptions`, answers that come before a body was read that of
//! `early_answers`, too many requests and stalled bodies of one client that of `limits`.

pub(crate) mod crowds;
mod hang_ups;
mod heads;
