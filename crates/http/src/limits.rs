//! What one client may have of the server at a time.

use std::time::Duration;

/// Bounds on what clients hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of one client that may be in flight, from the head of the request to the last byte of the answer; at
    /// least 1. A client is an IPv4 address, or the /64 of an IPv6 address.
    pub requests: usize,
    /// How long a request beyond that waits for its turn before it is answered with 429. As many wait as may be in
    /// flight, and never fewer than 256 (all that one HTTP/2 connection can bring); one more is refused at once.
    pub wait: Duration,
    /// How long the next byte of a request's body may take, once the server asks for it.
    pub stall: Duration,
}

/// How long the pages of lists are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// The most repositories on a page of the catalogue, whatever a client asks for.
    pub repositories: usize,
    /// The most tags on a page; without it as many as a client asks for, and all where it does not say.
    pub tags: Option<usize>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { repositories: 1000, tags: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 1000, wait: Duration::from_secs(5), stall: Duration::from_mins(1) }
    }
}
