//! `catalog` and `tags`: how long the pages of lists are.

use super::Setting;
use crate::configuration::{
    Configuration,
    form::{Count, Perhaps},
    slot::Field,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "catalog.maxentries",
        about: "The most repositories on a page of the catalogue, whatever `n` a client asks for.",
        slot: &Field(Count(1..=1000), |to: &mut Configuration| &mut to.pages.repositories),
    },
    Setting {
        key: "tags.maxtags",
        about: "The most tags on a page, whatever `n` a client asks for, and where it asks for none. Without it a client gets as many \
                as it asks for, and all where it does not say.",
        slot: &Field(Perhaps(Count(1..=1_000_000)), |to: &mut Configuration| &mut to.pages.tags),
    },
];
