//! `http`: where to listen, and what clients may have of it.

use super::{HOUR, KIB, MIB, MINUTE, Setting, times};
use crate::configuration::{
    Configuration,
    form::{Address, Count, Period, Size},
    slot::Field,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "http.addr",
        about: "Where to listen: `<IP address>:<port>`, `localhost:<port>`, or `:<port>` for every IPv4 address of this machine. \
                An address that other machines reach needs `auth` to be set.",
        slot: &Field(Address, |to: &mut Configuration| &mut to.addr),
    },
    Setting {
        key: "http.limits.headers",
        about: "The longest head of a request: its first line and all its headers. A longer one is answered with 431.",
        slot: &Field(Size(8 * KIB..=MIB), |to: &mut Configuration| &mut to.server.max_head),
    },
    Setting {
        key: "http.limits.requests",
        about: "How many requests of one client address may be in flight, from the head of the request to the last byte of the \
                answer. More of them wait for their turn.",
        slot: &Field(Count(1..=1_000_000), |to: &mut Configuration| &mut to.limits.requests),
    },
    Setting {
        key: "http.limits.wait",
        about: "How long a request beyond `http.limits.requests` waits for its turn before it is answered with 429 and \
                `Retry-After`.",
        slot: &Field(Period(times(0, 10 * MINUTE)), |to: &mut Configuration| &mut to.limits.wait),
    },
    Setting {
        key: "http.limits.stall",
        about: "How long the next byte of a request's body may take. Then the answer is 408, and of an upload in chunks what had \
                come is kept.",
        slot: &Field(Period(times(1, HOUR)), |to: &mut Configuration| &mut to.limits.stall),
    },
    Setting {
        key: "http.limits.unread",
        about: "How long a client may take nothing of an answer that waits for it. Then its connection is closed.",
        slot: &Field(Period(times(1, HOUR)), |to: &mut Configuration| &mut to.server.stall),
    },
    Setting {
        key: "http.limits.idle",
        about: "How long a connection may stay open without a request. Make it longer than what proxies in front of the \
                registry use, often 60s, or they send requests into connections that are being closed.",
        slot: &Field(Period(times(1, HOUR)), |to: &mut Configuration| &mut to.server.idle),
    },
];
