//! `sweep`: how long things stay that nothing needs.

use std::time::Duration;

use super::{DAY, HOUR, Setting, times};
use crate::configuration::{Configuration, form::Period, slot::Field};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "sweep.grace",
        about: "How long a blob stays that no manifest refers to, from the last push that was told that it is there. Make it longer \
                than your longest push takes.",
        slot: &Field(Period(times(0, 366 * DAY)), |to: &mut Configuration| &mut to.lifetimes.unreferenced_blob),
    },
    Setting {
        key: "sweep.window",
        about: "How long what was deleted can come back: `cargohold repository undelete`. Until then its space is not free.",
        slot: &Field(Period(times(0, 3660 * DAY)), |to: &mut Configuration| &mut to.lifetimes.deleted),
    },
    Setting {
        key: "sweep.keep",
        about: "How long the bytes of what was swept stay on disk, where a restored backup finds them again.",
        slot: &Field(Period(times(0, 366 * DAY)), |to: &mut Configuration| &mut to.lifetimes.swept_bytes),
    },
    Setting {
        key: "sweep.interval",
        about: "How long the sweep, the deletion of bytes and the expiry of uploads rest when there is nothing to do.",
        slot: &Field(Period(Duration::from_millis(10)..=Duration::from_secs(HOUR)), |to: &mut Configuration| {
            &mut to.lifetimes.between_sweeps
        }),
    },
];
