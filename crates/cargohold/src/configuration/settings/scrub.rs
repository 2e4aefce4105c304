//! `scrub`: all bytes, read from time to time.

use super::{DAY, KIB, MIB, Setting, times};
use crate::configuration::{
    Configuration,
    form::{Period, Size},
    slot::Field,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "scrub.every",
        about: "How often all stored bytes are read and compared with their digests, in the background. What is damaged is marked as \
                missing, said in the log, and put right by the next push. `0s` switches it off.",
        slot: &Field(Period(times(0, 3660 * DAY)), |to: &mut Configuration| &mut to.scrub.every),
    },
    Setting {
        key: "scrub.rate",
        about: "How many bytes the scrub reads in a second, at most.",
        slot: &Field(Size(64 * KIB..=1024 * 1024 * MIB), |to: &mut Configuration| &mut to.scrub.bytes_a_second),
    },
];
