//! `storage`: where the data is, and what may be done to it.

use super::{DAY, MIB, Setting, times};
use crate::configuration::{
    Configuration,
    form::{Flag, Folder, Period, Size},
    slot::Field,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "storage.filesystem.rootdirectory",
        about: "The data folder, made if it is not there. A relative path begins where the program was started.",
        slot: &Field(Folder, |to: &mut Configuration| &mut to.root_directory),
    },
    Setting {
        key: "storage.filesystem.reserve",
        about: "How much space is kept free on the disk of the data folder. What would use it is answered with 503, while pulls and \
                deletions go on. Without it a full disk could not even record what was deleted.",
        slot: &Field(Size(0..=1024 * 1024 * 1024 * MIB), |to: &mut Configuration| &mut to.reserve),
    },
    Setting {
        key: "storage.delete.enabled",
        about: "Whether clients may delete tags, manifests and blobs. Where they may not, they are answered with 405, and \
                `cargohold repository delete` is the way.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.rules.deletes),
    },
    Setting {
        key: "storage.maintenance.readonly.enabled",
        about: "Whether clients may only read. Whatever would change something is answered with 405.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.rules.read_only),
    },
    Setting {
        key: "storage.maintenance.uploadpurging.enabled",
        about: "Whether uploads that no byte comes to are given up at all, after `uploads.expiry`.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.purging.enabled),
    },
    Setting {
        key: "storage.maintenance.uploadpurging.age",
        about: "The name that `uploads.expiry` has in the configuration of the CNCF registry.",
        slot: &Field(Period(times(1, 3660 * DAY)), |to: &mut Configuration| &mut to.lifetimes.idle_upload),
    },
    Setting {
        key: "storage.maintenance.uploadpurging.dryrun",
        about: "As `storage.maintenance.uploadpurging.enabled: false`: uploads are kept.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.purging.dry_run),
    },
];
