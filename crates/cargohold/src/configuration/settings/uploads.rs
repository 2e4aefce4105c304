//! `uploads`: sessions that were not finished.

use super::{DAY, Setting, times};
use crate::configuration::{Configuration, form::Period, slot::Field};

pub(super) const SETTINGS: &[Setting] = &[Setting {
    key: "uploads.expiry",
    about: "How long an upload that no byte comes to can be resumed. Then its session and its bytes are given up.",
    slot: &Field(Period(times(1, 366 * DAY)), |to: &mut Configuration| &mut to.lifetimes.idle_upload),
}];
