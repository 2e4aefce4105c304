//! Numbers for whoever watches the registry: counters that cost a few nanoseconds, and the page that Prometheus reads.
//!
//! A part of the program owns its numbers as plain fields ([`Counter`], [`Gauge`], [`Histogram`]), without a global list of them, and
//! tells them to a [`Page`] when somebody asks. Nothing is locked to count. What a number means and what it is called is said where
//! it is told, so the page, and the list of all metrics in the documentation, are made from the same words.

#![forbid(unsafe_code)]

mod number;
mod page;

pub use number::{Counter, Gauge, Histogram};
pub use page::{Described, Kind, Page, Type};
