//! `validation`: what may be pushed.

use cargohold_registry::{Platform, Platforms, References};

use super::{MIB, Setting};
use crate::configuration::{
    Configuration,
    form::{Choice, Count, Flag, Pattern, Size, Words},
    slot::{Field, Records, Several},
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "validation.disabled",
        about: "Whether manifests are taken without a look at their `urls` and at what indexes refer to.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.validation_off),
    },
    Setting {
        key: "validation.repositories.maxname",
        about: "The longest name of a repository that can be pushed to. What has a longer name already can still be pulled.",
        slot: &Field(Size(1..=255), |to: &mut Configuration| &mut to.validation.name_bytes),
    },
    Setting {
        key: "validation.manifests.references",
        about: "What a manifest refers to and has to be in the repository before it: `all` of it, or `none`, which takes images \
                without their layers and indexes without some of their children (sparse content).",
        slot: &Field(Choice(&[("all", References::All), ("none", References::None)]), |to: &mut Configuration| {
            &mut to.validation.references
        }),
    },
    Setting {
        key: "validation.manifests.maxbytes",
        about: "The largest manifest that can be pushed. A larger one is answered with 413. Many clients read 4MiB at the most.",
        slot: &Field(Size(1..=64 * MIB), |to: &mut Configuration| &mut to.validation.manifest_bytes),
    },
    Setting {
        key: "validation.manifests.maxreferences",
        about: "The most that one manifest refers to: its configuration and layers, or its children.",
        slot: &Field(Count(1..=1_000_000), |to: &mut Configuration| &mut to.validation.manifest_references),
    },
    Setting {
        key: "validation.manifests.maxartifacttype",
        about: "The longest type of an artifact that can be pushed: `artifactType`, or the media type of the configuration \
                that stands for it.",
        slot: &Field(Size(1..=1024), |to: &mut Configuration| &mut to.validation.artifact_type_bytes),
    },
    Setting {
        key: "validation.manifests.urls.allow",
        about: "Which addresses layers may name in `urls`, as regular expressions: one of them has to match. Without any, and \
                without `validation.manifests.urls.deny`, every address of http and https may be named; a file of the CNCF \
                registry (`version: 0.1`) then allows none.",
        slot: &Several(Pattern, |to: &mut Configuration| &mut to.urls.allow),
    },
    Setting {
        key: "validation.manifests.urls.deny",
        about: "Which addresses layers may not name in `urls`, whatever is allowed.",
        slot: &Several(Pattern, |to: &mut Configuration| &mut to.urls.deny),
    },
    Setting {
        key: "validation.manifests.indexes.platforms",
        about: "Which children of an index have to be in the repository before it: `all`, `none`, or those for the platforms in a \
                `list`, `validation.manifests.indexes.platformlist`.",
        slot: &Field(
            Choice(&[("all", Platforms::All), ("none", Platforms::None), ("list", Platforms::List)]),
            |to: &mut Configuration| &mut to.validation.platforms,
        ),
    },
    Setting {
        key: "validation.manifests.indexes.platformlist",
        about: "The platforms whose children of an index have to be there.",
        slot: &Records(
            &[
                Setting {
                    key: "architecture",
                    about: "As the index names it, such as `amd64`.",
                    slot: &Field(Words(1..=100), |to: &mut Platform| &mut to.architecture),
                },
                Setting {
                    key: "os",
                    about: "As the index names it, such as `linux`.",
                    slot: &Field(Words(1..=100), |to: &mut Platform| &mut to.os),
                },
            ],
            |to: &mut Configuration| &mut to.validation.platform_list,
        ),
    },
];
